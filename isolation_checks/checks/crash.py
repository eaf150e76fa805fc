"""X6: a service that dies between the server's work and its own note of it leaves nothing."""

from __future__ import annotations

import time

from isolation_checks.events import Finding
from isolation_checks.world import World

CONVERGES_WITHIN = 15.0
"""Seconds that the next service may take until nothing is left that nobody owns."""


class Crash:
    """The service dies right after the server made a tenant; the next one has to see to it."""

    name = "crash of the service"
    channels = ("X6",)

    def run(self, world: World) -> None:
        """Kill it, start the next, and wait until the server is as it was."""
        surface = world.scratch.surface
        before = surface.inventory()
        world.scratch.kill_service()
        world.attempts += 1
        deadline = time.monotonic() + CONVERGES_WITHIN
        while True:
            after = surface.inventory()
            left = {
                kind: after[kind] - before[kind] for kind in before if after[kind] - before[kind]
            }
            if not left:
                world.controls += 1
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        for kind, things in sorted(left.items()):
            detail = f"{len(things)} × {kind} left {CONVERGES_WITHIN:g} s after a crash"
            trace = tuple(sorted(things))[:10]
            world.report(Finding("X6", self.name, f"{kind} left by a crash", detail, trace))
