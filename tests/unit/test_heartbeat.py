"""When a heartbeat gives up, and when it does not."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from warminfra.client import Client
from warminfra.client.heartbeat import Heartbeat
from warminfra.core.errors import LeaseLost, NotFound, Unreachable, WarminfraError
from warminfra.core.secret import Secret


@dataclass
class Renewals:
    """A client whose renewals end as told; each moves the clock by `step` seconds."""

    outcomes: list[WarminfraError | None]
    step: float = 1.0
    now: float = 0.0
    told: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    used_up: threading.Event = field(default_factory=threading.Event)

    def renew(self, lease: str, handle: Secret, ttl: float = 0.0) -> dict[str, object]:
        self.now += self.step
        if not self.outcomes:
            self.used_up.set()
            raise LeaseLost("the test is over")
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome
        return {}

    def boot(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def boot_id(self) -> str:
        return "boot"

    def run(self, *, ttl: float = 0.01, grace: float = 5.0) -> None:
        beat = Heartbeat(
            cast(Client, self),
            "lease",
            Secret("handle"),
            ttl=ttl,
            grace=grace,
            clock=self,
            lost=self.lost.append,
            say=self.told.append,
        )
        beat.start()
        beat.join(30)
        assert not beat.is_alive()


@pytest.mark.parametrize("error", [LeaseLost("revoked"), NotFound("no such lease")])
def test_a_sure_no_is_the_end(error: WarminfraError) -> None:
    """410, and a service that does not know the lease, end it at once."""
    renewals = Renewals([None, error, None])
    renewals.run()
    assert renewals.lost == [error.message]
    assert renewals.outcomes == [None]


def test_silence_is_borne_until_deadline_and_grace_are_over() -> None:
    """A service that is away is asked again until deadline plus grace, then the lease is lost."""
    renewals = Renewals([Unreachable("away")] * 20)
    renewals.run(grace=5.0)
    assert len(renewals.lost) == 1
    assert "away" in renewals.lost[0]
    assert 20 - len(renewals.outcomes) == 7
    assert len(renewals.told) == 1


def test_a_service_that_comes_back_starts_the_deadline_anew() -> None:
    """After a renewal the whole time counts again; going and coming back are told once each."""
    away: list[WarminfraError | None] = [Unreachable("away")] * 4
    renewals = Renewals([*away, None, *away, None])
    renewals.run(grace=5.0)
    assert renewals.lost == ["the test is over"]
    assert [("again" in line) for line in renewals.told] == [False, True, False, True]
