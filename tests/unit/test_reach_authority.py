"""The installation's CA: whom it signs for, who can read what, when a certificate is renewed."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from warminfra.core.reach import Keypair
from warminfra.instances.authority import CERTIFICATE_LIFE, Authority
from warminfra.testing.clock import ManualClock

NAME, ADDRESS = "sso.test", "127.0.0.9"


class Clock(ManualClock):
    """Manual, and of this machine's time: OpenSSL looks at that."""

    def __init__(self) -> None:
        super().__init__()
        self._wall = datetime.now(UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    return Authority(tmp_path / "ca", NAME, ADDRESS, clock)


@contextmanager
def serving(pair: Keypair) -> Iterator[int]:
    """Accept TLS connections on ADDRESS with the pair; the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    listener = socket.create_server((ADDRESS, 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(peer, server_side=True) as shaken:
                    shaken.recv(1)
            except OSError:
                peer.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def shake(port: int, ca_file: Path, called: str) -> None:
    """Connect as a strict client that asked for `called`."""
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection((ADDRESS, port)) as raw,
        context.wrap_socket(raw, server_hostname=called),
    ):
        pass


def test_strict_clients_accept_name_and_address_and_nothing_else(
    authority: Authority, tmp_path: Path
) -> None:
    """The server is trusted under its name and its address by whoever trusts the CA; no other."""
    pair = authority.issue(tmp_path / "one")
    with serving(pair) as port:
        shake(port, authority.ca_file, NAME)
        shake(port, authority.ca_file, ADDRESS)
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(port, authority.ca_file, "other.test")
        stranger = Authority(tmp_path / "else", NAME, ADDRESS, Clock())
        stranger.pem()
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(port, stranger.ca_file, NAME)


def test_an_address_needs_no_name(tmp_path: Path, clock: Clock) -> None:
    """Without a name strict clients accept the address: the constraints let it pass."""
    authority = Authority(tmp_path / "ca", "", ADDRESS, clock)
    with serving(authority.issue(tmp_path / "one")) as port:
        shake(port, authority.ca_file, ADDRESS)


def test_a_ca_that_is_trusted_can_sign_for_no_other_site(
    authority: Authority, tmp_path: Path, clock: Clock
) -> None:
    """With the stolen key somebody signs for another name: strict clients refuse that."""
    authority.pem()
    thief = Authority(tmp_path / "ca", NAME, ADDRESS, clock)
    thief._fits = lambda ca, key: True  # type: ignore[method-assign]
    thief._name = "bank.test"
    with (
        serving(thief.issue(tmp_path / "stolen")) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"),
    ):
        shake(port, authority.ca_file, "bank.test")


def test_keys_are_for_the_owner_alone(authority: Authority, tmp_path: Path) -> None:
    """Private keys have mode 0600, their folders 0700."""
    pair = authority.issue(tmp_path / "one")
    for key in (tmp_path / "ca" / "ca.key", pair.key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_every_server_has_a_key_of_its_own(authority: Authority, tmp_path: Path) -> None:
    """Two instances share no key."""
    one, other = authority.issue(tmp_path / "one"), authority.issue(tmp_path / "other")
    assert one.key.read_bytes() != other.key.read_bytes()


def test_a_certificate_is_renewed_at_half_its_life_and_the_key_stays(
    authority: Authority, tmp_path: Path, clock: Clock
) -> None:
    """Before that nothing is written; after it the same key has a certificate for longer."""
    pair = authority.issue(tmp_path / "one")
    first, key = pair.certificate.read_bytes(), pair.key.read_bytes()
    clock.advance(CERTIFICATE_LIFE.total_seconds() / 2 - 60)
    authority.issue(tmp_path / "one")
    assert pair.certificate.read_bytes() == first
    clock.advance(120)
    authority.issue(tmp_path / "one")
    assert pair.certificate.read_bytes() != first
    assert pair.key.read_bytes() == key
    ends = [
        x509.load_pem_x509_certificate(text).not_valid_after_utc
        for text in (first, pair.certificate.read_bytes())
    ]
    assert ends[1] > ends[0]


@pytest.mark.parametrize("damage", ["gone", "empty", "foreign"])
def test_what_does_not_fit_is_made_anew(
    authority: Authority, tmp_path: Path, clock: Clock, damage: str
) -> None:
    """A lost or damaged key, a certificate of another CA: the next start has a pair that fits."""
    pair = authority.issue(tmp_path / "one")
    if damage == "gone":
        pair.key.unlink()
    elif damage == "empty":
        pair.key.write_text("")
    else:
        stranger = Authority(tmp_path / "else", NAME, ADDRESS, clock).issue(tmp_path / "two")
        pair.certificate.write_bytes(stranger.certificate.read_bytes())
    with serving(authority.issue(tmp_path / "one")) as port:
        shake(port, authority.ca_file, NAME)


def test_another_address_gets_another_ca(
    authority: Authority, tmp_path: Path, clock: Clock
) -> None:
    """The CA is for one name and address; the same ones find the same CA again."""
    first = authority.pem()
    assert Authority(tmp_path / "ca", NAME, ADDRESS, clock).pem() == first
    moved = Authority(tmp_path / "ca", NAME, "127.0.0.10", clock)
    assert moved.pem() != first
    assert Authority(tmp_path / "ca", "", "127.0.0.10", clock).pem() != moved.pem()


def test_openssl_finds_nothing_to_blame(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL's strict check of form and constraints passes."""
    pair = authority.issue(tmp_path / "one")
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver",
         "-verify_hostname", NAME, "-CAfile", authority.ca_file, pair.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
