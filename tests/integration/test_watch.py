"""Passive checks of what runs use: what they find closes the gate until a person has looked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from testbed.installation import wait_until
from tests.stateful.installation import SETTINGS, TEMPLATE, Installation
from warminfra.core.ids import VerdictId
from warminfra.core.models import Granted, LeaseRequest, Verdict
from warminfra.leasing.sharing import SharingPolicy
from warminfra.service.reaudit import Reaudit

KEY = "0123456789abcdef"


def open_the_gate(world: Installation) -> Verdict:
    """Record an approved audit, under the policy that asks for one."""
    verdict = Verdict(
        VerdictId("v1"), "approve", "standard", "user", "fingerprint", TEMPLATE.features, (),
        world.clock.wall(),
    )  # fmt: skip
    world.ledger.sharing.record(verdict)
    world.policy = SharingPolicy("proven", require="audit")
    world.restart()
    world.settle()
    return verdict


def mode(world: Installation) -> tuple[str, str]:
    recipe = world.ledger.recipes.get("app")
    assert recipe is not None
    decision = world.manager.decide(world.ledger.sharing.facts(), recipe)
    return decision.mode, decision.reason


def until_the_next_sweep(world: Installation) -> None:
    world.clock.advance(SETTINGS.sweep_every + 1)
    world.settle()


def test_a_changed_setting_of_the_server_closes_the_gate(world: Installation) -> None:
    """Whoever changes what all tenants share is found out; pooled tenants are retired."""
    open_the_gate(world)
    until_the_next_sweep(world)
    assert mode(world)[0] == "shared"
    world.server.settings = "changed"
    until_the_next_sweep(world)
    assert mode(world)[0] == "dedicated"
    assert "server-wide settings" in mode(world)[1]
    assert world.ledger.tenants.pooled(TEMPLATE.hash) == 0
    world.ledger.sharing.lift(world.clock.wall())
    until_the_next_sweep(world)
    assert mode(world)[0] == "shared"


def test_a_tenant_that_vanishes_closes_the_gate_and_running_leases_end_in_peace(
    world: Installation,
) -> None:
    """Ledger and server differ on a server that was not restarted: nobody new shares."""
    open_the_gate(world)
    kept = world.manager.acquire(LeaseRequest("app", KEY))
    assert isinstance(kept, Granted)
    world.settle()
    lost = next(one for one in world.server.realms if one != kept.lease.id)
    world.server.realms.pop(lost)
    world.manager.renew(kept.lease.id, kept.handle.reveal(), ttl=600.0)
    until_the_next_sweep(world)
    assert "differed" in mode(world)[1]
    assert world.manager.show(kept.lease.id, kept.handle.reveal()).lease.state == "active"
    world.manager.release(kept.lease.id, kept.handle.reveal())


def test_policy_unproven_is_told_and_not_stopped(world: Installation) -> None:
    """For development: an alarm is a warning there, and a person's revert still stands."""
    world.server.settings = "changed"
    until_the_next_sweep(world)
    assert mode(world)[0] == "shared"
    assert [word.kind for word in world.ledger.sharing.facts().words] == ["alarm"]


def test_leases_under_a_verdict_are_the_runs_to_repeat(world: Installation) -> None:
    """Ended ones too, and none that was served on another word."""
    open_the_gate(world)
    granted = world.manager.acquire(LeaseRequest("app", KEY, run="run-7"))
    assert isinstance(granted, Granted)
    world.manager.release(granted.lease.id, granted.handle.reveal())
    assert [lease.run for lease in world.ledger.leases.under(VerdictId("v1"))] == ["run-7"]
    assert world.ledger.leases.under(VerdictId("v2")) == []


class FakeAudit:
    """A process that runs until it is ended."""

    def __init__(self) -> None:
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9

    def wait(self) -> int | None:
        return self.returncode


def reaudits(world: Installation, schedule: timedelta) -> tuple[Reaudit, list[list[str]], Any]:
    """A scheduler over the simulated installation, and what it started."""
    started: list[list[str]] = []
    process = FakeAudit()

    def start(command: Any) -> Any:
        started.append(list(command))
        return process

    parts = SimpleNamespace(
        settings=SimpleNamespace(
            audit=SimpleNamespace(schedule=schedule, profile="standard"),
            sharing=SimpleNamespace(policy="proven", min_profile="standard"),
        ),
        ledger=world.ledger,
        clock=world.clock,
        manager=world.manager,
        fingerprint=SimpleNamespace(digest=lambda: "fingerprint"),
    )
    return Reaudit(cast(Any, parts), start), started, process


def test_an_old_verdict_is_renewed_in_idle_time(world: Installation) -> None:
    """Due once the newest verdict is old enough; not while one is young, and not twice at once."""
    verdict = open_the_gate(world)
    reaudit, started, _ = reaudits(world, timedelta(days=1))
    reaudit.step()
    assert started == []
    world.clock.advance(90000.0)
    reaudit.step()
    reaudit.step()
    assert [command[-5:-1] for command in started] == [
        ["audit", "--profile", "standard", "--recipe"]
    ]
    later = replace(verdict, id=VerdictId("v2"), created_at=world.clock.wall())
    world.ledger.sharing.record(later)
    assert reaudit.due() is None


@pytest.mark.parametrize(("outcome", "renewed"), [("approve", True), ("revert", False)])
def test_a_weak_approve_puts_no_audit_off(world: Installation, outcome: str, renewed: bool) -> None:
    """Of a profile that opens nothing; a revert counts whoever found it."""
    verdict = open_the_gate(world)
    reaudit, _, _ = reaudits(world, timedelta(days=1))
    world.clock.advance(90000.0)
    weak = replace(
        verdict, id=VerdictId("v2"), profile="smoke", outcome=outcome, created_at=world.clock.wall()
    )
    world.ledger.sharing.record(weak)
    assert (reaudit.due() is not None) is renewed


def test_a_scheduled_audit_ends_with_its_service(tmp_path: Path) -> None:
    """Whatever kills that: the audit's own process asks the kernel to be killed with it."""
    told = tmp_path / "pid"
    child = (
        "import os, time; from warminfra.cli.prove import _end_with_the_service as ends; ends(); "
        f"open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    service = (
        "import sys, time; from warminfra.service.reaudit import _start; "
        f"_start([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", service]) as process:
        wait_until(lambda: told.exists() and told.read_text(), 30.0, "the audit")
        process.kill()
    wait_until(lambda: not psutil.pid_exists(int(told.read_text())), 10.0, "its end")


def test_an_audit_makes_way_for_a_lease(world: Installation) -> None:
    """It is ended as soon as a lease lives, and none begins while one does."""
    reaudit, started, process = reaudits(world, timedelta(days=1))
    reaudit.step()
    assert len(started) == 1
    world.manager.acquire(LeaseRequest("app", KEY))
    reaudit.step()
    assert process.returncode == -9
    world.clock.advance(7200.0)
    reaudit.step()
    assert len(started) == 1
