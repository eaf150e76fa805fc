"""The Swarm in memory keeps the same promises as the real one."""

from __future__ import annotations

from datetime import datetime

import pytest

from warminfra.core.ports import Stacks
from warminfra.testing.clock import ManualClock
from warminfra.testing.fake_stacks import FakeStacks, FakeSwarm
from warminfra.testing.stack_conformance import StacksConformance


class TestFakeStacks(StacksConformance):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def now(self, clock: ManualClock) -> datetime:
        return clock.wall()

    @pytest.fixture
    def stacks(self, clock: ManualClock) -> Stacks:
        return FakeStacks(FakeSwarm(clock))
