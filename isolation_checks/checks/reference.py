"""X16: the lease machine against a reference ledger that knows only what holders were told.

Under repeated requests, a crash of the service, and a wall clock that jumps: no lease is given
twice, none is taken away early, none outlives its end, and a request that is repeated gets the
lease that it got.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field

from isolation_checks.checks.manager import none_lost_early
from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.errors import LeaseLost
from warminfra.core.ids import TenantId
from warminfra.core.models import JsonObject

SHORT = 1.0
"""Shortest life that a request may ask for, in seconds."""
JUMP = 86_400.0
"""Seconds that the wall clock goes forward: longer than any lease."""
REAPED_WITHIN = 10.0
"""Seconds after its deadline until which an unrenewed lease has to be over; it takes one."""
HOLD = 2.0
"""Seconds for which a lease is held, longer than it would live by itself."""
TRIES = 5
REAPER_LOOKS = 1.2
"""Seconds in which the reaper has looked at every lease at least once (it does twice a second)."""


@dataclass(slots=True)
class _Ledger:
    """What holders were told: key → document, and which of them have ended."""

    told: dict[str, JsonObject] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def living(self) -> list[JsonObject]:
        return [lease for key, lease in self.told.items() if key not in self.ended]


class Reference:
    """Leases asked for, repeated, released and ended; every promise is looked at after each."""

    name = "reference ledger"
    channels = ("X16",)

    def run(self, world: World) -> None:
        """Take, repeat, jump, wait, crash, end."""
        with none_lost_early(world, self.name):
            self._course(world)

    def _course(self, world: World) -> None:
        known = _Ledger()
        for _ in range(2):
            self._take(world, known, secrets.token_hex(16))
        self._repeat(world, known)
        world.scratch.clock.jump(JUMP)
        brief, held = self._brief(world, 0.0), self._brief(world, HOLD)
        began = time.monotonic()
        time.sleep(REAPER_LOOKS)
        self._promises(world, known, "after the wall clock jumped and the reaper looked")
        self._kept(world, held, began)
        self._reaped(world, brief, began, SHORT, "lease outlives its deadline")
        self._reaped(world, held, began, HOLD, "hold outlives its time")
        world.scratch.kill_service()
        self._promises(world, known, "after a crash of the service")
        self._repeat(world, known)
        self._end_one(world, known)
        self._promises(world, known, "after another's end")
        world.scratch.release(*known.living())

    def _take(self, world: World, known: _Ledger, key: str) -> None:
        world.attempts += 1
        lease = world.scratch.lease(key=key)
        for other in known.told.values():
            if other["id"] == lease["id"]:
                self._report(world, "double lease", "one lease was given to two requests")
        known.told[key] = lease

    def _repeat(self, world: World, known: _Ledger) -> None:
        for key, lease in list(known.told.items()):
            world.attempts += 1
            try:
                again = world.scratch.lease(key=key)
            except LeaseLost:
                if key not in known.ended:
                    self._report(world, "repeated request refused", "its lease should live")
                continue
            if key in known.ended:
                self._report(world, "lease after its end", "its request gets a lease again")
            elif (again["id"], again["client"], again["users"]) != (
                (lease["id"], lease["client"], lease["users"])
            ):
                self._report(world, "repeated request", "it got another lease than before")
            world.controls += 1

    def _promises(self, world: World, known: _Ledger, when: str) -> None:
        """Every living lease answers its holder; its document is what it was."""
        for lease in known.living():
            world.attempts += 1
            try:
                granted = world.scratch.manager.show(TenantId(lease["id"]), lease["handle"])
                world.scratch.manager.renew(TenantId(lease["id"]), lease["handle"])
            except LeaseLost as lost:
                self._report(world, f"lease lost {when}", str(lost))
                continue
            world.controls += 1
            material = granted.tenant.material
            if material is None or material.client_secret != lease["client"]["secret"]:
                self._report(world, f"another secret {when}", "show differs from what was told")

    def _brief(self, world: World, held: float) -> JsonObject:
        """Return a lease of `SHORT` seconds, held for some more if given.

        Its life begins with its grant, and it is in our hands only when its domain is applied: on a
        slow machine that may take tries.
        """
        for _ in range(TRIES):
            with suppress(LeaseLost):
                lease = world.scratch.lease(ttl=SHORT)
                if held:
                    world.scratch.manager.hold(TenantId(lease["id"]), lease["handle"], held)
                return lease
        raise AssertionError(f"a lease of {SHORT:g} s is over before it can be used")

    def _kept(self, world: World, lease: JsonObject, began: float) -> None:
        """A held lease lives until its time, although it would have ended by itself."""
        world.attempts += 1
        try:
            world.scratch.manager.show(TenantId(lease["id"]), lease["handle"])
            world.controls += 1
        except LeaseLost as lost:
            if time.monotonic() - began < HOLD:
                self._report(world, "held lease lost early", str(lost))

    def _reaped(
        self, world: World, lease: JsonObject, began: float, life: float, what: str
    ) -> None:
        """A lease that nobody renews ends at its deadline, a held one with its hold, and soon."""
        world.attempts += 1
        while time.monotonic() - began < life + REAPED_WITHIN:
            try:
                world.scratch.manager.show(TenantId(lease["id"]), lease["handle"])
            except LeaseLost:
                world.controls += 1
                return
            time.sleep(0.05)
        detail = f"what had {life:g} s to live lives {REAPED_WITHIN:g} s longer"
        self._report(world, what, detail)

    def _end_one(self, world: World, known: _Ledger) -> None:
        key, lease = next(iter(known.told.items()))
        world.scratch.release(lease)
        known.ended.add(key)
        self._repeat(world, known)

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(Finding("X16", self.name, what, detail))
