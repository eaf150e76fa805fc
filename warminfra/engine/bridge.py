"""The address of the engine's own bridge: one that its containers reach, and the machine has."""

from __future__ import annotations

import socket
from typing import Any

import psutil

from warminfra.core.errors import NotFound, Unreachable
from warminfra.engine.connection import connect, translated

BRIDGE = "bridge"
"""The network that every engine has, unless its `daemon.json` says `"bridge": "none"`."""
_INTERFACE = "com.docker.network.bridge.name"
_TIMEOUT = 10


def bridge_address(host: str) -> str:
    """Return the IPv4 address of the bridge of the engine at `host`.

    An engine that has made its bridge tells no gateway before its next start (moby#26799); the
    machine knows the address of the interface. Raises `Unreachable` if the engine does not answer,
    or has no bridge.
    """
    try:
        client = connect(host, timeout=_TIMEOUT)
        try:
            with translated(host):
                found: dict[str, Any] = client.inspect_network(BRIDGE)
        finally:
            client.close()
    except NotFound:
        found = {}
    for row in (found.get("IPAM") or {}).get("Config") or ():
        gateway = str(row.get("Gateway", ""))
        if "." in gateway:
            return gateway
    interface = str((found.get("Options") or {}).get(_INTERFACE, ""))
    for address in psutil.net_if_addrs().get(interface, ()):
        if address.family is socket.AF_INET:
            return str(address.address)
    raise Unreachable(
        f"{host}: the engine's network {BRIDGE!r} has no IPv4 gateway", hint="set reach.address"
    )
