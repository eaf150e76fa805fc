"""The installation's own CA: one key that signs the servers' certificates and nothing else.

Layout: `<folder>/ca.pem` and `ca.key` (0600). Invariants: the key never leaves the folder; the CA
may sign for the one name and address that it was made for (critical name constraints), so whoever
trusts it in a browser trusts it for no other site; asked for others, it is made anew. A server's
certificate lives for weeks and is renewed when half of that is over; its key stays, so that the two
files always fit.
"""

from __future__ import annotations

import hashlib
import ipaddress
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from warminfra.core.clock import Clock
from warminfra.core.files import file_lock, private_dir, write_private
from warminfra.core.reach import Keypair

CA_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=30)
_SLACK = timedelta(hours=1)
"""How far a container's clock may be behind."""

_NO_NAME = "warminfra.invalid"
"""The only DNS name for which a CA without a name may sign: one that cannot exist (RFC 6761)."""


class Authority:
    """Signs for `name` ("" for none) and `address`. Safe between threads and processes."""

    def __init__(self, folder: Path, name: str, address: str, clock: Clock) -> None:
        self._folder = folder
        self._name = name
        self._address = ipaddress.ip_address(address)
        self._clock = clock

    @property
    def ca_file(self) -> Path:
        """The CA's certificate, PEM. It is there once `pem` or `issue` was called."""
        return self._folder / "ca.pem"

    def pem(self) -> str:
        """Return the CA's certificate, made if it is not there or does not fit."""
        with self._locked():
            return _pem(self._own()[0])

    def issue(self, folder: Path) -> Keypair:
        """Return the server's pair in `folder`, made or renewed if need be."""
        pair = Keypair(folder / "server.pem", folder / "server.key")
        with self._locked():
            ca, ca_key = self._own()
            private_dir(folder)
            key = _read_key(pair.key)
            if key is None:
                key = _new_key(pair.key)
            if not self._good(pair.certificate, key, ca):
                write_private(pair.certificate, _pem(self._sign(key, ca, ca_key)) + _pem(ca))
        return pair

    # ------------------------------------------------------------ the CA

    def _own(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = _read_key(self._folder / "ca.key")
        ca = _read_certificate(self.ca_file)
        if key is not None and ca is not None and self._fits(ca, key):
            return ca, key
        private_dir(self._folder)
        key = _new_key(self._folder / "ca.key")
        ca = self._make_ca(key)
        write_private(self.ca_file, _pem(ca))
        return ca, key

    def _fits(self, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
        return (
            ca.public_key() == key.public_key()
            and self._clock.wall() < ca.not_valid_after_utc - 2 * CERTIFICATE_LIFE
            and ca.extensions.get_extension_for_class(x509.NameConstraints).value
            == self._constraints()
        )

    def _make_ca(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        # Its own key in the name: a store may hold the CA of another installation beside it.
        mark = hashlib.sha256(_public(key)).hexdigest()[:8]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"warminfra test CA {mark}")])
        now = self._clock.wall()
        return (
            _builder(name, name, key.public_key(), now, CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(self._constraints(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )

    def _constraints(self) -> x509.NameConstraints:
        only = ipaddress.ip_network(self._address)  # this address and no other
        return x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(self._name or _NO_NAME), x509.IPAddress(only)],
            excluded_subtrees=None,
        )

    # ------------------------------------------------------------ a server

    def _good(self, file: Path, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate) -> bool:
        found = _read_certificate(file)
        if found is None or found.public_key() != key.public_key():
            return False
        try:
            found.verify_directly_issued_by(ca)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not good
            return False
        return self._clock.wall() < found.not_valid_after_utc - CERTIFICATE_LIFE / 2

    def _sign(
        self,
        key: ec.EllipticCurvePrivateKey,
        ca: x509.Certificate,
        ca_key: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        # OpenSSL holds the constraints against a common name that looks like a host, too.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a warminfra server")])
        names: list[x509.GeneralName] = [x509.IPAddress(self._address)]
        if self._name:
            names.append(x509.DNSName(self._name))
        return (
            _builder(name, ca.subject, key.public_key(), self._clock.wall(), CERTIFICATE_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False
            )
            .sign(ca_key, hashes.SHA256())
        )

    def _locked(self) -> AbstractContextManager[None]:
        return file_lock(self._folder / "lock")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _SLACK)
        .not_valid_after(now.astimezone(UTC) + life)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _new_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(file, text.decode())
    return key


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey | None:
    """Return the key in `file`; None if there is none that can be used."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _read_certificate(file: Path) -> x509.Certificate | None:
    """Return the first certificate in `file`; None if there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
