"""A server's ways out: what was tried is counted, what could not begin is told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from isolation_checks.checks.host import Egress
from isolation_checks.events import Event, LeftOut
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch
from warminfra.core.errors import ProviderRefused


class Server(FakeScratch):
    """It has two ways out: one it does not let begin, the other is shut, or `open`."""

    open = False

    def ways(self, lease: Any) -> list[str]:
        return ["federation", "identity provider"]

    def go(self, way: str, lease: Any, address: str) -> None:
        if way == "federation":
            raise ProviderRefused("no such component")
        if self.open:
            httpx.get(address, trust_env=False)

    def reach(self, port: int) -> None:
        httpx.get(f"http://127.0.0.1:{port}", trust_env=False)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_way_out_that_never_began_is_not_covered(is_open: bool) -> None:
    """It is told with the reason, does not count as tried, and stops no other."""
    server, told = Server(), list[Event]()
    server.open = is_open
    world = World(server.as_scratch(), told.append)
    Egress().run(world)
    left_out = [one for one in told if isinstance(one, LeftOut)]
    assert left_out == [LeftOut("X13", "federation", "no such component")]
    assert world.attempts == 1
    assert [one.witness for one in world.found] == ["call by identity provider"] * is_open
