"""X16: our own lease machine keeps leases apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.errors import LeaseLost, WrongHandle
from warminfra.core.ids import TenantId
from warminfra.core.models import JsonObject

AT_ONCE = 4


@contextmanager
def none_lost_early(world: World, check: str) -> Iterator[None]:
    """In the block every lease is to live until it is given back: one that is lost is a finding."""
    world.attempts += 1
    try:
        yield
    except LeaseLost as lost:
        detail = f"a lease that lives is lost: {lost}"
        world.report(Finding("X16", check, "lease lost early", detail))


class Manager:
    """A's handle on B's lease, a dead lease's handle on itself, and leases taken at one moment."""

    name = "lease manager"
    channels = ("X16",)

    def run(self, world: World) -> None:
        """Try each verb with the wrong handle, then the right one; then take leases at once."""
        with none_lost_early(world, self.name):
            mine, theirs = world.scratch.lease(), world.scratch.lease()
            self._wrong_handle(world, mine, theirs)
            self._alive(world, mine)
            self._at_once(world)
            world.scratch.release(mine, theirs)
            self._dead(world, mine)

    def _wrong_handle(self, world: World, mine: JsonObject, theirs: JsonObject) -> None:
        for verb, call in _verbs(world).items():
            world.attempts += 1
            if self._accepted(call, theirs, mine["handle"]):
                self._report(world, f"{verb} with A's handle", f"{verb} of B's lease works with it")

    def _alive(self, world: World, lease: JsonObject) -> None:
        for verb, call in _verbs(world).items():
            if verb == "release":
                continue
            if not self._accepted(call, lease, lease["handle"]):
                raise AssertionError(f"{verb} refuses even the right handle")
            world.controls += 1

    def _dead(self, world: World, lease: JsonObject) -> None:
        """A release is final: nothing may answer for the lease any more."""
        for verb, call in _verbs(world).items():
            if verb == "release":
                continue
            world.attempts += 1
            try:
                call(TenantId(lease["id"]), lease["handle"])
            except LeaseLost:
                continue
            self._report(world, f"{verb} after the end", f"{verb} still answers for a dead lease")

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
                self._report(world, f"double lease by {what}", detail)
        world.controls += 1
        world.scratch.release(*leases)

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(Finding("X16", self.name, what, detail))


def _verbs(world: World) -> dict[str, Callable[[TenantId, str], object]]:
    manager = world.scratch.manager
    return {"show": manager.show, "renew": manager.renew, "release": manager.release}
