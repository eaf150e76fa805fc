"""X9: what makes and what destroys tenants never runs at the same moment on one server.

Keycloak fails under parallel creates and deletes, and what fails is a legal call of somebody else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.ids import TenantId

AT_ONCE, TURNS = 3, 2


class Serial:
    """Leases that come and go at once; the calls that reach the server are watched."""

    name = "making and destroying"
    channels = ("X9",)

    def run(self, world: World) -> None:
        """Let some holders take and give back at the same time."""
        overlaps, met = world.scratch.wire.overlaps, world.scratch.wire.met
        overlaps.clear()
        met.clear()
        with ThreadPoolExecutor(AT_ONCE) as holders:
            for done in [holders.submit(self._holder, world) for _ in range(AT_ONCE)]:
                done.result()
        world.attempts += AT_ONCE * TURNS
        world.controls += len(met) >= AT_ONCE * TURNS
        if overlaps:
            detail = f"{len(overlaps)} calls met another at the server: {overlaps[0]}"
            world.report(Finding("X9", self.name, "calls that make and destroy overlap", detail))

    def _holder(self, world: World) -> None:
        for _ in range(TURNS):
            lease = world.scratch.lease()
            # Not waiting for its end: the next one comes while it is taken down.
            world.scratch.manager.release(TenantId(lease["id"]), lease["handle"])
