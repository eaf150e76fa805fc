"""Runs an audit: checks on the system as it is, then drawn mutants, then programs; then confirms.

It knows no report: everything that happens is an event. A check that breaks is `Trouble`, which no
verdict takes for a pass.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from isolation_checks.checks.authority import Authority
from isolation_checks.checks.base import Check
from isolation_checks.checks.completeness import Completeness
from isolation_checks.checks.keys import Keys
from isolation_checks.checks.manager import Manager
from isolation_checks.checks.museum import Museum
from isolation_checks.checks.neighbours import Neighbours
from isolation_checks.checks.privilege import Privilege
from isolation_checks.checks.residue import Residue
from isolation_checks.events import Checked, Event, Finding, Phase, Planted, Trouble
from isolation_checks.mutants.base import Mutant
from isolation_checks.mutants.catalogue import MUTANTS
from isolation_checks.sampler import run_program
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.verdict import Outcome, judge
from isolation_checks.world import World
from warminfra.config.settings import Settings
from warminfra.core.audit import AuditPackage
from warminfra.core.errors import WarminfraError
from warminfra.service.fingerprint import Fingerprint

P = ParamSpec("P")
R = TypeVar("R")

CHECKS: tuple[Check, ...] = (
    Keys(),
    Privilege(),
    Manager(),
    Completeness(),
    Neighbours(),
    Residue(),
    Authority(),
    Museum(),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How much an audit does."""

    name: str
    programs: int
    mutants_a_channel: int
    """0: all of them."""


PROFILES = {"smoke": Profile("smoke", 12, 1)}


@dataclass(slots=True)
class Audit:
    """One audit of one recipe. `run` once; the events stay."""

    settings: Settings
    package: AuditPackage
    recipe: Path
    profile: Profile
    seed: int
    tell: Callable[[Event], None]
    self_test: bool = False
    accepted: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    inventory: dict[str, list[str]] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    lease_class: str = ""
    fingerprint: str = ""
    """Of the live installation: its policy, and the code and server that the scratch one shares."""
    fingerprint_parts: dict[str, str] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Carry it out; whatever breaks ends as `inconclusive` with the reason."""
        confirmed: frozenset[str] = frozenset()
        try:
            with scratch(self.settings, self.package, self.recipe, self._phase) as server:
                self._features(server)
                self._inventory(server)
                if not self.self_test:
                    for check in CHECKS:
                        self._check(server, check)
                self._mutants(server)
                if not self.self_test:
                    self._programs(server)
            found = [event for event in self.events if isinstance(event, Finding)]
            if any(finding.name not in self.accepted for finding in found):
                confirmed = self._confirm(found)
        except WarminfraError as error:
            self._emit(Trouble("scratch installation", error.message))
        planned = 0 if self.self_test else self.profile.programs
        return judge(self.events, planned=planned, confirmed=confirmed, accepted=self.accepted)

    # ------------------------------------------------------------ parts

    def _features(self, server: Scratch) -> None:
        self.features = server.template.features
        self.lease_class = server.template.lease_class
        live = Fingerprint(server.parts.launcher, self.settings.sharing)
        self.fingerprint, self.fingerprint_parts = live.digest(), dict(live.parts())

    def _inventory(self, server: Scratch) -> None:
        self.inventory = {
            kind: sorted(things) for kind, things in server.surface.inventory().items()
        }

    def _check(self, server: Scratch, check: Check) -> None:
        self._phase(f"check: {check.name}")
        world, began = World(server, self._emit), time.monotonic()
        if self._carried(f"check {check.name}", _whole, check, world):
            seconds = time.monotonic() - began
            self._emit(Checked(check.name, check.channels, world.attempts, world.controls, seconds))

    def _mutants(self, server: Scratch) -> None:
        for mutant in self._drawn():
            self._phase(f"planting {mutant.id}: {mutant.title}")
            began = time.monotonic()
            seen: list[Finding] = []
            for check in [check for check in CHECKS if mutant.channel in check.channels]:
                world = World(server, lambda _: None)
                try:
                    with mutant.planted(server):
                        check.run(world)
                except (WarminfraError, AssertionError) as error:
                    if not world.found:
                        self._emit(Trouble(f"mutant {mutant.id}", str(error)))
                seen += [one for one in world.found if one.channel == mutant.channel]
            self._emit(
                Planted(
                    mutant.id,
                    mutant.title,
                    mutant.channel,
                    seen[0].check if seen else "",
                    seen[0].witness if seen else "",
                    time.monotonic() - began,
                )
            )

    def _drawn(self) -> Sequence[Mutant]:
        if self.self_test:
            return MUTANTS
        chance = random.Random(self.seed)
        channels = dict.fromkeys(mutant.channel for mutant in MUTANTS)
        return [
            mutant
            for channel in channels
            for mutant in chance.sample(
                [one for one in MUTANTS if one.channel == channel], self.profile.mutants_a_channel
            )
        ]

    def _programs(self, server: Scratch) -> None:
        self._phase(f"{self.profile.programs} programs")
        seeds = random.Random(f"programs {self.seed}")
        for number in range(1, self.profile.programs + 1):
            seed = seeds.randrange(2**32)
            world = World(server, self._emit)
            ran = self._carried(f"program {number}", run_program, world, number, seed)
            if ran is not None:
                self._emit(ran)

    def _confirm(self, found: Sequence[Finding]) -> frozenset[str]:
        """Run the checks that found something again, on a virgin server."""
        self._phase("confirming what was found on a virgin server")
        again: set[str] = set()
        with scratch(self.settings, self.package, self.recipe, self._phase) as server:
            for check in CHECKS:
                if any(set(check.channels) & {one.channel} for one in found):
                    world = World(server, lambda _: None)
                    self._carried(f"confirmation by {check.name}", _whole, check, world)
                    again |= {one.name for one in world.found}
        return frozenset(one.name for one in found if one.name in again)

    def _carried(
        self, where: str, work: Callable[P, R], *args: P.args, **named: P.kwargs
    ) -> R | None:
        """Do it, and tell of whatever keeps it from being done: that is never a pass."""
        try:
            return work(*args, **named)
        except (WarminfraError, AssertionError) as error:
            self._emit(Trouble(where, str(error)))
        except Exception as error:  # noqa: BLE001 - a check of anybody's may break in any way
            self._emit(Trouble(where, f"{type(error).__name__}: {error}"))
        return None

    def _phase(self, text: str) -> None:
        self._emit(Phase(text))

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        self.tell(event)


def _whole(check: Check, world: World) -> bool:
    check.run(world)
    return True
