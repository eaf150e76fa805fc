"""X9: the life of A, its end above all, makes no legal call of B fail."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from isolation_checks.checks.authority import ends
from isolation_checks.events import Finding
from isolation_checks.world import Party, World
from warminfra.core.audit import REFUSED, Cell
from warminfra.core.errors import Unreachable
from warminfra.core.models import JsonObject

_SERVER_ERROR, _SWITCHED_OFF = 500, 501

STAYS = 2.0
"""Seconds, of a lease that came while another went, after which what was late has come."""
PAUSE = 0.1
"""Seconds between two logins at it."""


class Neighbours:
    """B uses what it has before, while and after A ends and another comes.

    The status of each call of B must be after A's end what it was before; logins of B go on while
    A is taken down; no answer is a server error. Calls that end B's own sessions are left out. The
    lease that came while A went is whole, and stays: users log in until `STAYS` seconds are over,
    however fast the server answers, for what comes late comes at a time of its own.
    """

    name = "neighbours"
    channels = ("X9",)

    def run(self, world: World) -> None:
        """One pair, and one lease more that comes while the first goes."""
        leaving, staying = world.attacker(), world.attacker()
        staying = replace(staying, lease=world.scratch.surface.known(staying.lease))
        before = self._statuses(world, staying)
        with ThreadPoolExecutor(max_workers=1) as other:
            life = other.submit(_end_and_begin, world, leaving)
            # An admin's tokens made anew would end those that are called afterwards.
            lease = {name: part for name, part in staying.lease.items() if name != "admin"}
            while True:
                over = life.done()
                self._log_in(world, lease)
                if over:
                    break
        last, late = life.result(), time.monotonic() + STAYS
        after = self._statuses(world, staying)
        for (cell, kind), status in before.items():
            if after[cell, kind] != status:
                self._report(
                    world,
                    f"{cell} of a lease whose neighbour ended",
                    f"{cell}: {status} before the neighbour's end, {after[cell, kind]} after it",
                )
        while self._log_in(world, last.lease, "the lease that came while a neighbour ended"):
            if time.monotonic() > late:
                break
            time.sleep(PAUSE)
        world.scratch.release(staying.lease, last.lease)

    def _statuses(self, world: World, party: Party) -> dict[tuple[Cell, str], int]:
        """Make every call that is not the end of something; return the status of each."""
        found: dict[tuple[Cell, str], int] = {}
        for credential in party.credentials:
            if credential.one_shot:
                continue
            for cell in world.scratch.surface.cells(credential.kind):
                if _mild(cell):
                    reply = world.scratch.surface.attempt(cell, credential, party.lease)
                    world.attempts += 1
                    world.controls += reply.status < REFUSED
                    found[cell, credential.kind] = reply.status
                    if reply.status >= _SERVER_ERROR and reply.status != _SWITCHED_OFF:
                        self._report(world, f"{cell} ends in a server error", str(reply.status))
        return found

    def _log_in(self, world: World, lease: JsonObject, who: str = "") -> bool:
        """Log in; report it if that fails, and say whether it did not."""
        world.attempts += 1
        try:
            world.scratch.surface.mint(lease)
        except Unreachable as error:
            when = "after it had come" if who else "while a neighbour was taken down"
            detail = f"a login failed {when}: {error.message}"
            self._report(world, f"login {f'at {who}' if who else 'while a neighbour ends'}", detail)
            return False
        return True

    def _report(self, world: World, witness: str, detail: str) -> None:
        world.report(Finding("X9", self.name, witness, detail))


def _mild(cell: Cell) -> bool:
    """Say whether a call leaves B as it is: it reads, or it refreshes B's own session."""
    return not ends(cell) and (cell.verb == "GET" or cell.endpoint == "token, refresh")


def _end_and_begin(world: World, leaving: Party) -> Party:
    world.scratch.release(leaving.lease)
    return Party(world.scratch.lease(), ())
