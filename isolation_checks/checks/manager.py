"""X16: our own lease machine keeps leases apart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.errors import WrongHandle
from warminfra.core.ids import TenantId
from warminfra.core.models import JsonObject

AT_ONCE = 4


class Manager:
    """A's handle on B's lease, and leases taken at the same moment."""

    name = "lease manager"
    channels = ("X16",)

    def run(self, world: World) -> None:
        """Try each verb with the wrong handle, then the right one; then take leases at once."""
        mine, theirs = world.scratch.lease(), world.scratch.lease()
        manager = world.scratch.manager
        verbs: dict[str, Callable[[TenantId, str], object]] = {
            "show": manager.show,
            "renew": manager.renew,
            "release": manager.release,
        }
        for verb, call in verbs.items():
            world.attempts += 1
            if self._accepted(call, theirs, mine["handle"]):
                detail = f"{verb} of B's lease works with A's handle"
                world.report(Finding("X16", self.name, f"{verb} with A's handle", detail))
        for verb in ("show", "renew"):
            if not self._accepted(verbs[verb], mine, mine["handle"]):
                raise AssertionError(f"{verb} refuses even the right handle")
            world.controls += 1
        self._at_once(world)
        world.scratch.release(mine, theirs)

    def _accepted(
        self, call: Callable[[TenantId, str], object], lease: JsonObject, handle: str
    ) -> bool:
        try:
            call(TenantId(lease["id"]), handle)
        except WrongHandle:
            return False
        return True

    def _at_once(self, world: World) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            leases = list(threads.map(lambda _: world.scratch.lease(), range(AT_ONCE)))
        world.attempts += AT_ONCE
        for what in ("id", "issuer", "handle"):
            if len({lease[what] for lease in leases}) != AT_ONCE:
                detail = f"{AT_ONCE} leases taken at once have {what}s in common"
                world.report(Finding("X16", self.name, f"double lease by {what}", detail))
        world.controls += 1
        world.scratch.release(*leases)
