"""A real Swarm keeps the promises of `Stacks`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.engine import Engine
from warminfra.core.ports import Stacks
from warminfra.engine.stacks import DockerStacks
from warminfra.testing.stack_conformance import StacksConformance

pytestmark = pytest.mark.live


class TestDockerStacks(StacksConformance):
    @pytest.fixture
    def stacks(self, engine: Engine) -> Iterator[Stacks]:
        made = DockerStacks(engine.host)
        yield made
        made.close()
