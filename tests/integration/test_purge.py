"""A purge leaves no tenant, whatever was under way when it began; if it fails, all goes on."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.stateful.installation import SETTINGS, Installation
from warminfra.core.errors import StorageFull, Unreachable
from warminfra.core.states import InstanceState, TenantState
from warminfra.service import loops
from warminfra.service.loops import Loops


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "PURGE_LOOK", 0.0)
    monkeypatch.setattr(loops, "ImageWatch", lambda _: SimpleNamespace(purge=lambda: 0))


def loops_of(world: Installation) -> Loops:
    parts: Any = SimpleNamespace(
        ledger=world.ledger,
        clock=world.clock,
        manager=world.manager,
        fleet=world.fleet,
        settings=SimpleNamespace(),
    )
    return Loops(parts)


def test_what_comes_up_meanwhile_is_emptied_too(world: Installation) -> None:
    """An instance that was starting when the purge began is ready later, and makes a tenant."""
    world.settle()
    (row,) = world.ledger.instances.current()
    with world.ledger.database.write() as tx:
        tx.exec_driver_sql("UPDATE instances SET state = 'starting'")
    purging = loops_of(world)
    left: list[int] = []
    purge = threading.Thread(target=lambda: left.append(purging.purge()))
    purge.start()
    while world.ledger.tenants.counts()[TenantState.READY]:
        pass
    assert world.ledger.instances.move(row.id, InstanceState.READY)
    while purge.is_alive():
        world.step()
    assert left == [0]
    assert not world.server.realms


def test_a_purge_that_fails_lets_the_service_work_on(world: Installation) -> None:
    """Who could not be taken down is told; the service tends its instances again."""
    world.settle()
    purging = loops_of(world)
    assert purging.purge(wait=-1.0) == world.ledger.tenants.counts()[TenantState.RETIRING] > 0
    assert not purging.closing


def test_every_server_is_ended_whatever_becomes_of_one(
    migrated_ledger: Path, tmp_path: Path
) -> None:
    """A ledger on a full disk, or a server that does not end, keeps none of the others alive."""
    world = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, warm=2))
    world.settle()
    servers = [world.server_of(row.id) for row in world.ledger.instances.current()]
    assert [server.up for server in servers] == [True, True]
    world.faults.fill(0, 1000)
    with pytest.raises(StorageFull):
        loops_of(world).stop(instances=True)
    assert [server.up for server in servers] == [False, False]
    world.ledger.close()


def test_a_purge_that_breaks_lets_the_service_work_on(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that does not answer, at the very end: told, and nothing stays shut for it."""

    def fails() -> int:
        raise Unreachable("the engine does not answer")

    monkeypatch.setattr(loops, "ImageWatch", lambda _: SimpleNamespace(purge=fails))
    world.settle()
    purging = loops_of(world)
    left: list[str] = []

    def purge() -> None:
        try:
            purging.purge()
        except Unreachable as error:
            left.append(error.message)

    running = threading.Thread(target=purge)
    running.start()
    while running.is_alive():
        world.step()
    assert left == ["the engine does not answer"]
    assert not purging.closing
