"""Where an engine asks for an image: its mirrors first if it is of the default registry."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from warminfra.core.engine import EngineFacts
from warminfra.images.reference import Reference


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One base URL. A mirror gets no login: it is not the registry that the login is for."""

    url: str
    mirror: bool = False


def endpoints_of(name: Reference, facts: EngineFacts) -> list[Endpoint]:
    """Return the places to ask for `name`, first to last."""
    if name.domain:
        scheme = "http" if _insecure(name.domain, facts) else "https"
        return [Endpoint(f"{scheme}://{name.domain}")]
    from docker.auth import INDEX_NAME

    mirrors = [Endpoint(url.rstrip("/"), mirror=True) for url in facts.mirrors]
    return [*mirrors, Endpoint(f"https://index.{INDEX_NAME}")]


def _insecure(domain: str, facts: EngineFacts) -> bool:
    host = domain.rsplit(":", 1)[0].strip("[]")
    if domain in facts.insecure or host in facts.insecure:
        return True
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    networks = (_network(text) for text in facts.insecure)
    return any(address in network for network in networks if network)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
