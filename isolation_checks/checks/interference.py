"""X9, X10: a noisy neighbour: what it does wrong shuts nobody else out; what it costs is told."""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from isolation_checks.events import Finding
from isolation_checks.world import Party, World
from warminfra.core.audit import Cell, Credential
from warminfra.core.errors import Unreachable
from warminfra.core.secret import Secret

_FAILURES = 12
_CALLS = 40
_TENANTS = 4


class Throttle:
    """A fails again and again; B, from the same address, is served as before."""

    name = "failed logins"
    channels = ("X9",)

    def run(self, world: World) -> None:
        """One pair."""
        surface = world.scratch.surface
        attacker, staying = world.attacker(), world.scratch.lease()
        surface.mint(staying)
        world.controls += 1
        for credential in attacker.credentials:
            for cell in surface.cells(credential.kind):
                if "username" in credential.context:
                    for _ in range(_FAILURES):
                        wrong = replace(credential, value=Secret(secrets.token_hex(8)))
                        surface.attempt(cell, wrong, attacker.lease)
                        world.attempts += 1
        if not world.attempts:
            raise AssertionError("no login of A could fail: the recipe has no users")
        try:
            surface.mint(staying)
        except Unreachable as error:
            detail = f"B cannot log in after {world.attempts} failures of A: {error.message}"
            world.report(Finding("X9", self.name, "login after a neighbour's failures", detail))
        world.scratch.release(attacker.lease, staying)


class Noise:
    """What a busy neighbour costs, and what a tenant more costs: noted, never judged."""

    name = "noise"
    channels = ("X10",)

    def run(self, world: World) -> None:
        """B's reading calls alone and beside a busy A; the making of some tenants."""
        surface = world.scratch.surface
        busy, quiet = world.attacker(), world.attacker()
        cell, credential = _reads(world, quiet)
        ask: Callable[[], object] = lambda: surface.attempt(cell, credential, quiet.lease)  # noqa: E731
        alone = _median(ask)
        stop = threading.Event()
        noise = threading.Thread(target=_hammers, args=(world, busy, stop))
        noise.start()
        try:
            beside = _median(ask)
        finally:
            stop.set()
            noise.join()
        world.attempts += 2 * _CALLS
        world.controls += 1
        world.note(
            "X10",
            f"{cell}, median of {_CALLS}",
            f"{alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside a busy neighbour "
            f"({beside / alone:.2f} ×)",
        )
        times, leases = [], []
        for _ in range(_TENANTS):
            began = time.monotonic()
            leases.append(world.scratch.lease())
            times.append(time.monotonic() - began)
        shown = ", ".join(f"{seconds * 1000:.0f}" for seconds in times)
        world.note("X10", f"making {_TENANTS} tenants one after another", f"{shown} ms")
        world.scratch.release(busy.lease, quiet.lease, *leases)


def _reads(world: World, party: Party) -> tuple[Cell, Credential]:
    """Return a call that reads, and works."""
    surface = world.scratch.surface
    for credential in party.credentials:
        for cell in surface.cells(credential.kind):
            if cell.verb == "GET" and surface.attempt(cell, credential, party.lease).status == 200:
                return cell, credential
    raise AssertionError("nothing that B has reads anything")


def _median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(_CALLS):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    return statistics.median(times)


def _hammers(world: World, party: Party, stop: threading.Event) -> None:
    while not stop.is_set():
        world.scratch.surface.mint(party.lease)
