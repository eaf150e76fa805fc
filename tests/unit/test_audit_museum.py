"""What is left of a dead lease: artifacts that it never used are tried as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from isolation_checks.checks.museum import Museum
from isolation_checks.events import Event, LeftOut
from isolation_checks.world import World, witness
from tests.fake_scratch import FakeScratch
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.errors import ProviderRefused
from warminfra.core.secret import Secret

LINK = Cell("action link", "GET", "action token")


class Server(FakeScratch):
    """It makes links that work once; where they `outlive` their lease, after its end too."""

    outlive = False
    used = False

    def artifacts(self) -> Sequence[str]:
        return ["code", LINK.kind, "device code"]

    def artifact(self, kind: str, lease: Any) -> Credential:
        if kind != LINK.kind:
            raise ProviderRefused("the tenant has none")
        return Credential(kind, lease["id"], Secret("link"), one_shot=True)

    def cells(self, kind: str) -> Sequence[Cell]:
        return [LINK] if kind == LINK.kind else super().cells(kind)

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        at_home = target is not None and target["id"] == credential.tenant
        if cell != LINK or not at_home or credential.value.reveal() == "forged":
            return super().attempt(cell, credential, target)
        works = not self.used and (self.outlive or credential.tenant in self.living)
        self.used = True
        return Reply(200, "go on") if works else Reply(401, "no")


@pytest.mark.parametrize("outlive", [False, True])
def test_an_artifact_that_works_after_its_lease_is_a_finding(outlive: bool) -> None:
    """It was made while the lease lived, and used by nobody; of what there is none is told."""
    server, told = Server(), list[Event]()
    server.outlive = outlive
    world = World(server.as_scratch(), told.append)
    Museum().run(world)
    works = witness(LINK, "its own dead lease")
    assert [(one.channel, one.witness) for one in world.found] == [("X7", works)] * outlive
    left_out = [one for one in told if isinstance(one, LeftOut)]
    assert left_out == [LeftOut("X7", "device code", "the tenant has none")]
    assert server.living == set()
