"""Pipelines that are cancelled, killed, timed out and retried, while the service is killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from testbed.installation import Installation
from testbed.pipelines.simulation import CONFIG, Simulation

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("count", "kills"), [(24, 1), pytest.param(200, 3, marks=pytest.mark.soak)]
)
def test_no_double_lease_no_leak_no_lost_place(live_cache: Path, count: int, kills: int) -> None:
    """However they end: each tenant has one holder, nothing is left over, who waits is served."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with Installation.temporary(config=CONFIG) as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(1)
        simulation = Simulation(installation, count, seed, kills)
        assert simulation.run() == []
        assert simulation.waits()
