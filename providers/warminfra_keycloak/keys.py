"""Signing keys made before they are needed.

An RSA-2048 key with its certificate costs about 60 ms; Keycloak making two of its own costs 300 ms
of a realm's creation. Owns one bounded queue and the thread that fills it. Invariant: a key pair
leaves the queue once, so no two tenants share one.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_BITS = 2048
_VALID = timedelta(days=365)
_NICE = 10


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private RSA key and its self-signed certificate, both PEM."""

    private_pem: str
    certificate_pem: str


def make_key() -> SigningKey:
    """Make one RSA-2048 key with a certificate, in about 60 ms of CPU."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    # Keycloak publishes the certificate with the key; nobody checks its name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "warminfra")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .sign(key, hashes.SHA256())
    )
    return SigningKey(
        private_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
    )


class KeyPool:
    """Keys in stock. The filling thread starts with the first `take` or `start`, at low priority.

    With `size` 0 there is no thread, and every key is made in place.
    """

    def __init__(self, size: int = 8) -> None:
        self._stock: queue.Queue[SigningKey] = queue.Queue(maxsize=size)
        self._size = size
        self._stopped = threading.Event()
        self._room = threading.Semaphore(size)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start filling, if it is not going on already."""
        if self._size == 0:
            return
        with self._starting:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(
                    target=self._fill, name="warminfra-keys", daemon=True
                )
                self._thread.start()

    def take(self) -> SigningKey:
        """Return a key from stock at once, or make one here if there is none."""
        self.start()
        try:
            key = self._stock.get_nowait()
        except queue.Empty:
            return make_key()
        self._room.release()
        return key

    def stock(self) -> int:
        """Return the number of keys that are ready."""
        return self._stock.qsize()

    def stop(self) -> None:
        """Stop filling and wait for the thread: at most the time of one key."""
        self._stopped.set()
        self._room.release()
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _fill(self) -> None:
        # Linux keeps a nice value for each thread: requests go before the stock.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            self._room.acquire()
            if self._stopped.is_set():
                return
            self._stock.put_nowait(make_key())


STOCK = KeyPool()
"""What every server and every tenant of this process draws from."""
