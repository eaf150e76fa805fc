"""How the servers of one installation are reached, as plain values.

One address to listen on, and one URL that is the same for a browser on the host, a test process and
a container: what a server calls itself (`iss`) must be what each of them asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from warminfra.core.errors import ConfigInvalid

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Keypair:
    """A server's certificate, with its issuer's, and its private key: two PEM files."""

    certificate: Path
    key: Path


class Certificates(Protocol):
    """Gives servers their certificates."""

    @property
    def ca_file(self) -> Path:
        """PEM of the CA that signs them, for the service's own clients."""
        ...

    def issue(self, folder: Path) -> Keypair:
        """Return the pair in `folder`, made if it is not there, renewed if it is half through."""
        ...


@dataclass(frozen=True, slots=True)
class Trust:
    """What holders need to trust a server: files that every user of the machine can read."""

    ca_pem: str
    ca_file: Path
    """The CA alone."""
    bundle_file: Path
    """The CA and the system's: for programs that know one store only."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where servers listen and what they are called. By itself plain HTTP on loopback.

    The service's own door is the address; everybody else uses the public URL.
    """

    address: str = LOOPBACK
    name: str = ""
    """Name in the public URL; "" is the address itself."""
    certificates: Certificates | None = None
    """Whoever makes the servers' certificates; None is plain HTTP."""
    trust: Trust | None = None
    """What holders need; None where the system's store does."""
    front: str = ""
    """URL of a proxy before the servers, `{port}` for the server's own; "" without one."""
    front_port: int = 0
    """Port of the one server that the proxy leads to, if its URL names no `{port}`."""
    proxy_headers: str = ""
    proxies: tuple[str, ...] = ()
    """Addresses of that proxy: whose headers are believed."""

    def base_url(self, port: int) -> str:
        """Return the service's own way to the server on `port`."""
        return self._url(self.address, port)

    def public_url(self, port: int) -> str:
        """Return what everybody else, and the server itself, calls the server on `port`.

        Raises `ConfigInvalid` if the proxy does not lead there: one URL is for one server.
        """
        if self.front_port and port != self.front_port:
            raise ConfigInvalid(
                f"{self.front} leads to the server on port {self.front_port}, not to one on {port}",
                hint="put {port} into reach.public_url, and let the proxy serve those ports",
            )
        if self.front:
            return self.front.replace("{port}", str(port)).rstrip("/")
        return self._url(self.name or self.address, port)

    def _url(self, host: str, port: int) -> str:
        return f"{'http' if self.certificates is None else 'https'}://{host}:{port}"

    @property
    def ca_file(self) -> Path | None:
        """The CA that the service's own clients trust; None is the system's store."""
        return self.certificates.ca_file if self.certificates else None

    @property
    def hosts(self) -> Mapping[str, str]:
        """Return name → address of what no name server has to know: host entries."""
        return {self.name: self.address} if self.name and not self.front else {}


FindReach = Callable[[], Reach]
"""Tells the reach; may have to ask the engine. Raises `Unreachable` if nobody can tell yet."""
