"""A short soak: kill -9 of `exec`, the service and Keycloak while runs log in."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from testbed.installation import Installation
from testbed.soak.course import CONFIG, Course

pytestmark = pytest.mark.live


def test_whatever_is_killed_nothing_lies_and_nothing_is_left(live_cache: Path) -> None:
    """After each kill all converges in time; in the end no realm, role or session is left over."""
    with Installation.temporary(config=CONFIG) as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(2)
        course = Course(installation, seed=random.randrange(2**32))
        print(f"seed {course.seed}")
        done = course.rounds(2) + course.acknowledged(1)
        violations = [f"{one.killed}: {line}" for one in done for line in one.violations]
        assert violations + course.end() == []
