"""The tender's round: what goes wrong with one instance keeps no other from its work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from testbed.installation import wait_until
from tests.stateful.installation import SETTINGS, Installation
from warminfra.core.errors import Unreachable
from warminfra.core.ids import InstanceId
from warminfra.core.states import InstanceState
from warminfra.service import loops
from warminfra.service.loops import FINISH_AGAIN, Loops
from warminfra.testing.fake_provider import FakeLauncher


def drained(world: Installation) -> list[InstanceId]:
    """Drain all instances until they are empty; return them in the order of their ends."""
    for row in world.ledger.instances.current():
        world.ledger.instances.move(row.id, InstanceState.DRAINING)
    workers = list(world.fleet.workers.values())
    world.fleet.tend()
    while len(world.fleet.finished()) < len(workers):
        for worker in workers:
            worker.step()
            if worker.eye:
                worker.eye.step()
        world.clock.advance(1.0)
    return [worker.instance for worker in world.fleet.finished()]


def states(world: Installation) -> dict[InstanceId, InstanceState]:
    return {row.id: row.state for row in world.ledger.instances.current()}


def test_a_drained_server_that_cannot_be_ended_stops_no_other(
    migrated_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Successors start before it is tried, the next one ends; it is tried again later."""
    monkeypatch.setattr(loops, "ImageWatch", lambda _: None)
    monkeypatch.setattr(loops, "AFTER_ERROR", 0.0)
    world = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, warm=2))
    world.settle()
    stuck, other = drained(world)
    successors = states(world).keys() - {stuck, other}
    assert len(successors) == 2
    tried: list[float] = []
    end = FakeLauncher.stop

    def at_work() -> bool:
        return all(states(world)[one] is InstanceState.READY for one in successors)

    def stop(launcher: FakeLauncher, instance: InstanceId, *, discard: bool) -> None:
        if instance == stuck:
            wait_until(at_work, 5.0, "the successors")
            tried.append(world.clock.boot())
            raise Unreachable("the process does not end")
        end(launcher, instance, discard=discard)

    monkeypatch.setattr(FakeLauncher, "stop", stop)
    parts: Any = SimpleNamespace(
        ledger=world.ledger,
        clock=world.clock,
        manager=world.manager,
        fleet=world.fleet,
        reaper=world.reaper,
        settings=SimpleNamespace(audit=SimpleNamespace(schedule=None)),
    )
    tending = Loops(parts)
    began = world.clock.boot()
    try:
        for wait in (0.0, FINISH_AGAIN / 2, FINISH_AGAIN / 2):
            world.clock.advance(wait)
            tending._tend_once()
    finally:
        tending.stop()
    assert at_work(), "a successor did not start"
    assert other not in states(world)
    assert tried == [began, began + FINISH_AGAIN]
    world.ledger.close()
