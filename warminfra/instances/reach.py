"""Finds how the servers are reached, by the settings, and keeps it so.

In mode `node` the address is that of the engine's bridge, which containers of every network reach
by their default route, and processes of the host as one of its own. It is part of every issuer, so
it is written down: an engine that is away later changes nothing. Invariant: what holders are told
(CA, host entries) is what the servers have.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from warminfra.core.clock import Clock
from warminfra.core.errors import ConfigInvalid, Unreachable, WarminfraError
from warminfra.core.files import private_dir, write_private, write_public
from warminfra.core.reach import LOOPBACK, Keypair, Reach, Trust

if TYPE_CHECKING:
    from warminfra.instances.authority import Authority

CA_NAME, BUNDLE_NAME = "ca.pem", "ca-bundle.pem"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say: the `[reach]` section."""

    mode: str = "host"
    address: str = ""
    """"" is the engine's bridge in mode node, loopback in mode front."""
    name: str = ""
    public_url: str = ""
    http_port: int = 0
    """Fixed port of the servers; 0 if each has its own."""
    proxy_headers: str = "xforwarded"
    trusted_proxies: tuple[str, ...] = (LOOPBACK,)
    ca_file: Path | None = None
    """Of the CA that the proxy's certificate is of, if it is not in the system's store."""


@dataclass(slots=True)
class ReachFinder:
    """Finds the reach once, then always tells the same.

    `gateway` asks the engine for the address of its bridge. `state_dir` keeps what is ours alone;
    `public_dir` gets the files that holders read.
    """

    wanted: Wanted
    state_dir: Path
    public_dir: Path
    clock: Clock
    gateway: Callable[[], str]
    _found: Reach | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _certificates: _Remembering | None = None

    def __call__(self) -> Reach:
        """Return the reach. Raises `Unreachable` if the address is not known yet."""
        with self._lock:
            if self._found is None:
                self._found = self._find()
            return self._found

    def renew(self) -> None:
        """Renew the certificates of the servers that were started or adopted by this process.

        The servers read them again by themselves, within the hour.
        """
        if self._certificates is not None:
            self._certificates.renew()

    def _find(self) -> Reach:
        wanted = self.wanted
        if wanted.mode == "host":
            return Reach()
        if wanted.mode == "front":
            return Reach(
                wanted.address or LOOPBACK,
                front=wanted.public_url,
                front_port=0 if "{port}" in wanted.public_url else wanted.http_port,
                proxy_headers=wanted.proxy_headers,
                proxies=wanted.trusted_proxies,
                trust=self._publish(_read(wanted.ca_file)) if wanted.ca_file else None,
            )
        from warminfra.instances.authority import Authority

        address = wanted.address or self._bridge()
        authority = Authority(self.state_dir / "ca", wanted.name, address, self.clock)
        trust = self._publish(authority.pem())
        self._certificates = _Remembering(authority)
        return Reach(address, wanted.name, self._certificates, trust)

    def _bridge(self) -> str:
        """Return the address of the engine's bridge; what it was, while the engine is away."""
        record = self.state_dir / "reach.json"
        try:
            known = str(json.loads(record.read_text())["address"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            known = ""
        try:
            address = self.gateway()
        except WarminfraError as error:
            if known:
                return known
            raise Unreachable(
                f"the address of the engine's bridge is not known: {error.message}",
                hint="start the engine, or set reach.address",
            ) from None
        if address != known:
            private_dir(self.state_dir)
            write_private(record, json.dumps({"address": address}))
        return address

    def _publish(self, ca_pem: str) -> Trust:
        """Write the CA where every user can read it, alone and with the system's."""
        trust = Trust(ca_pem, self.public_dir / CA_NAME, self.public_dir / BUNDLE_NAME)
        private_dir(self.public_dir)
        for file, text in (
            (trust.ca_file, ca_pem),
            (trust.bundle_file, f"{system_store().rstrip()}\n{ca_pem}".lstrip()),
        ):
            write_public(file, text)
        return trust


@dataclass(slots=True)
class _Remembering:
    """The authority, and the folders that it has issued for."""

    authority: Authority
    folders: set[Path] = field(default_factory=set)

    @property
    def ca_file(self) -> Path:
        return self.authority.ca_file

    def issue(self, folder: Path) -> Keypair:
        self.folders.add(folder)
        return self.authority.issue(folder)

    def renew(self) -> None:
        for folder in list(self.folders):
            if folder.is_dir():
                self.authority.issue(folder)
            else:
                self.folders.discard(folder)


def _read(file: Path) -> str:
    try:
        text = file.read_text()
        ssl.create_default_context().load_verify_locations(cadata=text)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"reach.ca_file cannot be used: {file} ({error})",
            hint="name a readable PEM file with the CA of the proxy's certificate",
        ) from None
    return text


def system_store() -> str:
    """Return the certificates that programs of this machine trust, PEM; "" if they are no file."""
    paths = ssl.get_default_verify_paths()
    for file in (os.environ.get(paths.openssl_cafile_env), paths.openssl_cafile, *_STORES):
        if file:
            try:
                return Path(file).read_text()
            except (OSError, UnicodeDecodeError):
                continue
    return ""


_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Debian (and NixOS), Fedora and SUSE keep them."""
