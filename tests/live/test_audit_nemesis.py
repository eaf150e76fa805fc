"""Trouble on a real server: made on purpose it changes no verdict, met by surprise it is told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import cast

import psutil
import pytest

import isolation_checks
from isolation_checks import engine
from isolation_checks.blocks import Block, draws
from isolation_checks.engine import Audit
from isolation_checks.events import Event, Finding, Program, Tried
from isolation_checks.plan import Profile
from isolation_checks.scratch import Scratch
from isolation_checks.world import World
from testbed.installation import wait_until
from warminfra.config import Settings
from warminfra.core.audit import AuditPackage
from warminfra.core.states import TenantState
from warminfra.service.composition import provider_package

pytestmark = pytest.mark.live

RECIPE = Path(isolation_checks.__file__).parent / "recipes" / "user"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # a service dies
def test_nothing_crosses_whatever_is_killed(scratch_server: Scratch) -> None:
    """Server and service killed, a reply lost, slow replies, a clock that jumps, one lease given
    back at once: all programs run, nothing is found, nothing is left."""
    events: list[Event] = []
    troubles: list[str] = []

    def trouble(where: str, error: Exception) -> None:
        troubles.append(f"{where}: {error}")

    before = scratch_server.surface.inventory()
    drawn = draws(14, 6, 5, seed=3)
    assert len({strike for draw in drawn for strike in draw.strikes}) == 5
    Block(scratch_server, events.append, trouble, killed=True).run(drawn)
    assert troubles == []
    assert [event.name for event in events if isinstance(event, Finding)] == []
    assert len([event for event in events if isinstance(event, Program)]) == 14
    assert {event.when for event in events if isinstance(event, Tried)} == {
        "alive",
        "released",
        "after restart",
    }
    _rest(scratch_server)
    assert scratch_server.surface.inventory() == before


def _rest(server: Scratch) -> None:
    """Wait until nothing is under way: a create without an answer may arrive for a minute."""
    server.abandon()
    tenants = server.parts.ledger.tenants

    def gone() -> bool:
        counts = tenants.counts()
        return all(count == 0 for state, count in counts.items() if state is not TenantState.GONE)

    wait_until(gone, 240.0, "the end of every tenant")


class KillsTheServer:
    """A check whose server goes away in the middle."""

    name, channels = "goes away", ("X1",)

    def run(self, world: World) -> None:
        lease = world.scratch.lease()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = " ".join(process.cmdline())
                if process.name() == "java" and str(world.scratch.folder) in command:
                    process.kill()
        world.scratch.surface.mint(lease)


def test_a_server_that_goes_away_in_the_middle_is_inconclusive(
    audit_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check that it hits is told, and no verdict takes it for a pass."""
    monkeypatch.setattr(engine, "CHECKS", (KillsTheServer(),))
    monkeypatch.setattr(engine, "MUTANTS", ())
    package = cast("AuditPackage", provider_package("keycloak"))
    small = Profile("smoke", 0, 0, 0, 0, 0, mutants_a_channel=1, effort=1, searched=0)
    outcome = Audit(audit_settings, package, RECIPE, small, 1, lambda event: None).run()
    assert outcome.outcome == "inconclusive"
    told = [reason for reason in outcome.reasons if reason.startswith("check goes away: ")]
    assert told, outcome.reasons
    assert "check goes away did not come to its end" in outcome.reasons
