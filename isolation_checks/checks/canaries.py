"""X12: nothing that A writes is ever received by B, by master, or by a later tenant."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from isolation_checks.events import Finding
from isolation_checks.world import Party, World
from warminfra.core.models import JsonObject


class Canaries:
    """A marks every field that it can write; every byte that is not A's own is looked through.

    B, a tenant made after that, and one made after A's end log in and ask all that they may; the
    auditor reads all that is inside them and of the server. The mark must be seen in A's own
    answers, or nothing was written.
    """

    name = "canaries"
    channels = ("X12",)

    def run(self, world: World) -> None:
        """One pair, and two leases after."""
        surface = world.scratch.surface
        first, second = world.scratch.lease(), world.attacker()
        mark = f"canary{secrets.token_hex(16)}"
        seen: list[tuple[str, str]] = []

        def look(tenant: str, request: str, received: str) -> None:
            if mark in received:
                seen.append((tenant, request))

        with surface.heard(look):
            fields = surface.mark(first, mark)
            self._asks(world, Party(first, surface.mint(first)))
            own = [one for one in seen if one[0] == first["tenant"]]
            if not own:
                raise AssertionError(f"the mark is not seen even at A, in {', '.join(fields)}")
            world.controls += len(own)
            world.note("X12", "fields that A has marked", ", ".join(fields))
            self._asks(world, second)
            beside = self._newcomer(world)
        inside = {
            "B": surface.everything(second.lease),
            "a later tenant": surface.everything(beside.lease),
            "the server": self._server(world),
        }
        world.scratch.release(first)
        with surface.heard(look):
            after = self._newcomer(world)
        self._judge(world, first, seen)
        inside["a tenant after A's end"] = surface.everything(after.lease)
        inside["the server after A's end"] = self._server(world)
        for where, text in inside.items():
            world.attempts += 1
            if mark in text:
                self._report(world, f"mark inside {where}", "what A wrote stands there", ())
        world.scratch.release(second.lease, beside.lease, after.lease)

    def _newcomer(self, world: World) -> Party:
        party = world.attacker()
        self._asks(world, party)
        return party

    def _server(self, world: World) -> str:
        return "".join(world.scratch.surface.server_state().values())

    def _asks(self, world: World, party: Party) -> None:
        """Make every call that reads, with all that the party has."""
        for credential in party.credentials:
            for cell in world.scratch.surface.cells(credential.kind):
                if not credential.one_shot and (cell.verb == "GET" or "form" in cell.endpoint):
                    world.scratch.surface.attempt(cell, credential, party.lease)
                    world.attempts += 1

    def _judge(self, world: World, first: JsonObject, seen: Sequence[tuple[str, str]]) -> None:
        strangers = sorted({one for one in seen if one[0] != first["tenant"]})
        if strangers:
            detail = f"{len(strangers)} answers to others than A carry what A wrote"
            trace = tuple(f"{request} of {tenant or 'the server'}" for tenant, request in strangers)
            self._report(world, f"mark in {strangers[0][1]}", detail, trace[:5])

    def _report(self, world: World, witness: str, detail: str, trace: tuple[str, ...]) -> None:
        world.report(Finding("X12", self.name, witness, detail, trace))
