"""The two ports of an instance, its own and the one for management: chosen once, kept for its life.

The port is part of every issuer, so it must be the same after a restart. Free ports are taken
from below the kernel's own range, where no outgoing connection can sit on them meanwhile.
"""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from warminfra.core.entropy import Entropy
from warminfra.core.errors import Conflict, Unreachable
from warminfra.core.files import write_private
from warminfra.core.reach import LOOPBACK

NAMES = ("http", "management")

_LOWEST, _COUNT = 20_000, 12_000
_TRIES = 200
_PATIENCE = 1.0
_POLL = 0.02


def ports_of(
    file: Path, fixed: Mapping[str, int], entropy: Entropy, address: str = LOOPBACK
) -> Mapping[str, int]:
    """Return the ports recorded in `file`, choosing and recording what is missing.

    `address` is where the server will listen; management is always on loopback. A port of `fixed`
    that is not 0 wins over the recorded one. Raises `Conflict` if no port is free.
    """
    try:
        recorded = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        recorded = {}
    ports: dict[str, int] = {}
    for name in NAMES:
        ports[name] = fixed.get(name) or recorded.get(name) or _choose(entropy, ports, address)
    if ports != recorded:
        write_private(file, json.dumps(ports))
    return ports


def require_free(ports: Mapping[str, int], address: str = LOOPBACK) -> None:
    """Raise `Conflict` naming the port, and the process if we may see it, that is in the way.

    Raises `Unreachable` if `address` is not of this machine now. A server that was just killed lets
    go of its ports a moment after it counts as gone: so long it waits.
    """
    require_here(address)
    until = time.monotonic() + _PATIENCE
    for name, port in ports.items():
        place = LOOPBACK if name == "management" else address
        while not free(port, place):
            if time.monotonic() < until:
                time.sleep(_POLL)
                continue
            raise Conflict(
                f"port {port} ({name}) on {place} is taken{_by_whom(port)}",
                hint="end that process, or set keycloak.http_port and keycloak.management_port",
            )


def require_here(address: str) -> None:
    """Raise `Unreachable` if no server of this machine could listen on `address` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise Unreachable(
                    f"{address} is no address of this machine",
                    hint="start the engine whose bridge has it, or set reach.address",
                ) from None


def free(port: int, address: str = LOOPBACK) -> bool:
    """Say whether a server could listen on `port` of the address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a former server that linger are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _choose(entropy: Entropy, taken: Mapping[str, int], address: str) -> int:
    require_here(address)
    for _ in range(_TRIES):
        port = _LOWEST + int(entropy.fraction() * _COUNT)
        if port not in taken.values() and free(port) and free(port, address):
            return port
    raise Conflict(
        f"no free port found in {_LOWEST}–{_LOWEST + _COUNT - 1} on {address}",
        hint="set keycloak.http_port and keycloak.management_port",
    )


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if (
                connection.status == psutil.CONN_LISTEN
                and local
                and local.port == port
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
