"""The server itself: a realm that a lease has made beside its own is seen, its own is none."""

from __future__ import annotations

from typing import Any

import pytest

from isolation_checks.checks.server_wide import ServerWide
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch
from warminfra.core.audit import Cell, Credential

MAKE = Cell("access token", "POST", "admin/realms", server_wide=True)


class Server(FakeScratch):
    """Its leases may change themselves; where it `makes`, a token of theirs makes a realm."""

    makes = False

    def cells(self, kind: str) -> list[Cell]:
        return [MAKE] if kind == MAKE.kind else []

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Any:
        if cell == MAKE and self.makes:
            self.living.add("made")
        return super().attempt(cell, credential, target)

    def mark(self, lease: Any, mark: str) -> list[str]:
        self.changes[lease["id"]] = 1
        return ["a field"]

    def server_state(self) -> dict[str, str]:
        return {"master's realm": "{}"}


@pytest.mark.parametrize("makes", [False, True])
def test_a_realm_beside_the_leases_own_is_a_change_of_the_server(makes: bool) -> None:
    """The lease's own comes and goes and is no change."""
    server = Server()
    server.makes = makes
    world = World(server.as_scratch(), lambda _: None)
    ServerWide().run(world)
    found = [one.witness for one in world.found]
    assert found == [
        f"the server's realms changed while a lease {when}"
        for when in ("lives", "has ended")
        if makes
    ]
