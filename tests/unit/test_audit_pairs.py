"""Pairs: every difference that a neighbour makes to B is seen, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from isolation_checks.checks import pairs
from isolation_checks.checks.pairs import Pairs
from isolation_checks.world import World
from tests.fake_scratch import READ, FakeScratch
from warminfra.core.audit import Cell, Credential, Reply


class Interfering(FakeScratch):
    """B hears something else once a neighbour has come, or has gone."""

    def __init__(self, changed: Reply, *, once_gone: bool = False) -> None:
        super().__init__()
        self.changed, self.once_gone, self.gone = changed, once_gone, 0

    def release(self, *leases: Any) -> None:
        self.gone += any(str(len(self.living)) != "1" for _ in leases)
        super().release(*leases)

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        reply = super().attempt(cell, credential, target)
        disturbed = self.gone > 0 if self.once_gone else len(self.living) > 1
        own = target is not None and target["id"] == credential.tenant
        return self.changed if own and disturbed and reply.status == 200 else reply


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the check has waited; nobody waits for them."""
    waited: list[float] = []
    monkeypatch.setattr(pairs.time, "sleep", waited.append)
    return waited


def found(fake: FakeScratch, effort: int = 4) -> World:
    world = World(fake.as_scratch(), lambda _: None, seed=1, effort=effort)
    Pairs().run(world)
    return world


def test_a_sound_server_makes_no_difference() -> None:
    """No finding, controls passed, everything is given back."""
    fake = FakeScratch()
    world = found(fake)
    assert (world.found, fake.living) == ([], set())
    assert world.controls > 0


@pytest.mark.parametrize(
    "changed",
    [
        Reply(401, "yes"),
        Reply(200, "yes, otherwise"),
        Reply(200, "yes", frozenset({"wi-another"})),
        Reply(503, ""),
    ],
    ids=["status", "text", "names another tenant", "server error"],
)
def test_each_kind_of_difference_is_seen(changed: Reply) -> None:
    """The canonical form hides none of them; both traces stand side by side."""
    findings = found(Interfering(changed)).found
    assert findings
    assert all(finding.channel == "X9" for finding in findings)
    assert findings[0].trace[0].startswith("alone: 200 yes")
    assert findings[0].trace[1].startswith("beside: ")


def test_what_differs_by_itself_is_noise() -> None:
    """An answer that is never twice the same says nothing about a neighbour."""

    class Noisy(FakeScratch):
        asked = 0

        def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
            self.asked += 1
            reply = super().attempt(cell, credential, target)
            return Reply(200, f"answer {self.asked}") if reply.status == 200 else reply

    assert found(Noisy()).found == []


def test_what_changes_by_the_second_is_noise(clock: list[float]) -> None:
    """Two runs alone on a fast server end within one second; the third, beside, in the next."""

    class BySecond(FakeScratch):
        calls = 0

        def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
            self.calls += 1
            reply = super().attempt(cell, credential, target)
            moment = int(sum(clock) + self.calls / 40)
            return Reply(200, f"it is {moment}") if reply.status == 200 else reply

    assert found(BySecond()).found == []


class Refusing(FakeScratch):
    """Of twenty places where an access token may be used, one serves its owner."""

    def cells(self, kind: str) -> list[Cell]:
        places = [Cell("access token", "GET", f"closed {number}") for number in range(19)]
        return [READ, *places] if kind == READ.kind else super().cells(kind)

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        reply = super().attempt(cell, credential, target)
        return reply if cell == READ else Reply(403, "closed to its owner too")


def test_some_call_of_every_pair_goes_through() -> None:
    """One pair, whatever the seed: a pair whose calls are all refused would show nothing."""
    for seed in range(20):
        world = World(Refusing().as_scratch(), lambda _: None, seed=seed)
        Pairs().run(world)
        assert world.controls > 0, seed
