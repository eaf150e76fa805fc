"""Runs an audit: checks on the system as it is, then drawn mutants, then programs; then confirms.

It knows no report: everything that happens is an event. A check that breaks is `Trouble`, which no
verdict takes for a pass.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from isolation_checks.blocks import Block, Draw
from isolation_checks.checks.artifacts import Artifacts
from isolation_checks.checks.authority import Authority
from isolation_checks.checks.base import Check
from isolation_checks.checks.bystander import Bystander
from isolation_checks.checks.canaries import Canaries
from isolation_checks.checks.completeness import Completeness
from isolation_checks.checks.copies import Copies
from isolation_checks.checks.crash import Crash
from isolation_checks.checks.events import KeptEvents
from isolation_checks.checks.exposure import Exposure
from isolation_checks.checks.history import History
from isolation_checks.checks.host import Egress, Host
from isolation_checks.checks.interference import Noise, Throttle
from isolation_checks.checks.keys import Keys
from isolation_checks.checks.manager import Manager
from isolation_checks.checks.museum import Museum
from isolation_checks.checks.neighbours import Neighbours
from isolation_checks.checks.oracle import Oracle
from isolation_checks.checks.pairs import Pairs
from isolation_checks.checks.privilege import Privilege
from isolation_checks.checks.profile import Profile as BrowserProfile
from isolation_checks.checks.reference import Reference
from isolation_checks.checks.renamed import Renamed
from isolation_checks.checks.replay import Replay
from isolation_checks.checks.residue import Residue
from isolation_checks.checks.senses import Senses
from isolation_checks.checks.serial import Serial
from isolation_checks.checks.server_wide import ServerWide
from isolation_checks.confirm import Counterexample, confirm
from isolation_checks.events import Checked, Event, Explained, Finding, Known, Phase, Trouble
from isolation_checks.hunt import hunt, told
from isolation_checks.mutants.base import Mutant
from isolation_checks.mutants.catalogue import MUTANTS
from isolation_checks.plan import Profile, blocks, mutants_for
from isolation_checks.sampler import known_cells
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.search import search
from isolation_checks.verdict import Outcome, judge
from isolation_checks.world import World
from warminfra.config.settings import Settings
from warminfra.core.audit import AuditPackage
from warminfra.core.errors import WarminfraError
from warminfra.service.fingerprint import Fingerprint

CONFIRMATIONS = 2
"""Virgin servers on which what was found is tried again, if the first does not come to its end."""
SEARCH_SECONDS = 4.0
"""Most seconds for each example of the search, over all of them."""

P = ParamSpec("P")
R = TypeVar("R")

CHECKS: tuple[Check, ...] = (
    Senses(),
    Keys(),
    Copies(),
    Privilege(),
    Exposure(),
    Manager(),
    Reference(),
    Completeness(),
    Bystander(),
    Throttle(),
    Serial(),
    Neighbours(),
    ServerWide(),
    Residue(),
    Renamed(),
    History(),
    Crash(),
    Egress(),
    Host(),
    Authority(),
    Artifacts(),
    Replay(),
    BrowserProfile(),
    Oracle(),
    Canaries(),
    Noise(),
    KeptEvents(),
    Museum(),
    Pairs(),
)
"""In this order, and so a planted fault is looked for: of a channel's checks that see about as many
faults the cheaper ones first."""
DEAR_CHECKS: tuple[Check, ...] = (Copies(start=True),)
"""Those that take a start of a server of their own."""


@dataclass(slots=True)
class Audit:
    """One audit of one recipe. `run` once; the events stay."""

    settings: Settings
    package: AuditPackage
    recipe: Path
    profile: Profile
    seed: int
    tell: Callable[[Event], None]
    foreign: Sequence[Mutant] = ()
    """Somebody else's, planted besides the drawn ones."""
    accepted: frozenset[str] = frozenset()
    """Names of the findings that the reviewer has accepted."""
    drawn: int | None = None
    """How many mutants are drawn over all; None: as the profile says."""
    live_fingerprint: Callable[[], str] = lambda: ""
    """Asks the live installation, "" if it does not run."""
    events: list[Event] = field(default_factory=list)
    examples: list[Counterexample] = field(default_factory=list)
    """What was found, and shown once more on a virgin server."""
    known: frozenset[tuple[str, str, str]] = frozenset()
    """Every (cell, target, time) that there is to try."""
    inventory: dict[str, list[str]] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    lease_class: str = ""
    fingerprint: str = ""
    """Of the live installation: its policy, and the code and server that the scratch one shares."""
    fingerprint_parts: dict[str, str] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Carry it out; whatever breaks ends as `inconclusive` with the reason.

        But what was found until then is tried again all the same, and may end as `revert`.
        """
        if self._came_to_its_end(self._examine) and self.profile.blocks:
            self._came_to_its_end(self._blocks)
        found = [event for event in self.events if isinstance(event, Finding)]
        tried_again = not found or any(
            self._came_to_its_end(self._confirm, found) for _ in range(CONFIRMATIONS)
        )
        self._carried("what is known of the server", self._explain, found)
        return judge(
            self.events,
            planned=self.profile.programs,
            checks=tuple(check.name for check in self._checks()),
            confirmed=frozenset(example.finding.name for example in self.examples),
            accepted=self.accepted,
            known=self.known,
            tried_again=tried_again,
        )

    # ------------------------------------------------------------ parts

    def _checks(self) -> list[Check]:
        """Return those of the audit's channels, and those of none, which are of the prover."""
        return [
            one for one in CHECKS if not one.channels or self._channels.intersection(one.channels)
        ]

    @property
    def _channels(self) -> frozenset[str]:
        return self.profile.channels_of(self.lease_class)

    def _scratch(self) -> AbstractContextManager[Scratch]:
        return scratch(self.settings, self.package, self.recipe, self._phase)

    def _came_to_its_end(self, work: Callable[P, None], *args: P.args, **named: P.kwargs) -> bool:
        """Do what has a scratch installation of its own; tell of what kept it from its end."""
        try:
            work(*args, **named)
        except (WarminfraError, OSError) as error:
            self._emit(Trouble("scratch installation", getattr(error, "message", str(error))))
        except Exception as error:  # noqa: BLE001 - a fault of ours is never a pass
            self._emit(Trouble("the prover", f"{type(error).__name__}: {error}"))
        else:
            return True
        return False

    def _examine(self) -> None:
        """Check the system as it is, then see that what is planted is seen."""
        with self._scratch() as server:
            self._describe(server)
            for check in self._checks():
                self._check(server, check)
            self._search(server)
            self._mutants(server)
            if not self.profile.blocks:
                self._block(server, blocks(self.profile, self.seed)[0], killed=False)

    def _describe(self, server: Scratch) -> None:
        """Say what is audited, and that it is what runs."""
        self.features = server.template.features
        self.lease_class = server.template.lease_class
        scratch_one = Fingerprint(server.launcher, self.settings.sharing, self.settings.reach.mode)
        self.fingerprint, self.fingerprint_parts = (
            scratch_one.digest(),
            dict(scratch_one.parts()),
        )
        live = self.live_fingerprint()
        if live and live != self.fingerprint:
            told = "it has another fingerprint than what is audited: restart the service"
            self._emit(Trouble("live installation", told))
        self.inventory = {
            kind: sorted(things) for kind, things in server.surface.inventory().items()
        }
        self.known = known_cells(server.surface, self.profile.times)
        self._emit(Known(len(self.known)))

    def _check(self, server: Scratch, check: Check) -> None:
        self._phase(f"check: {check.name}")
        profile = self.profile
        world = World(
            server,
            self._emit,
            seed=self.seed,
            effort=profile.effort,
            check=check.name,
            cycles=profile.cycles,
        )
        began = time.monotonic()
        whole = self._carried(f"check {check.name}", _whole, check, world)
        self._carried(f"what {check.name} left", server.abandon)
        if whole:
            seconds = time.monotonic() - began
            looked_at = tuple(one for one in check.channels if one in self._channels)
            about = " ".join((inspect.getdoc(type(check)) or "").partition("\n\n")[0].split())
            self._emit(
                Checked(check.name, looked_at, world.attempts, world.controls, seconds, about)
            )

    def _search(self, server: Scratch) -> None:
        if not self.profile.searched:
            return
        self._phase(f"search: {self.profile.searched} examples at most")

        def quiet(event: Event) -> None:
            if not isinstance(event, Finding):
                self._emit(event)

        found = self._carried(
            "search",
            search,
            lambda: World(server, quiet),
            self.profile.searched,
            self.seed,
            self.profile.searched * SEARCH_SECONDS,
        )
        self._carried("what the search left", server.abandon)
        if found is not None:
            self._emit(found)

    def _mutants(self, server: Scratch) -> None:
        stock = {event.name for event in self.events if isinstance(event, Finding)}
        possible = [mutant for mutant in MUTANTS if mutant.applies(server.template)]
        drawn = mutants_for(self.profile, possible, self.seed, self.lease_class, self.drawn)
        for mutant in (*self.foreign, *drawn):
            self._phase(f"planting {mutant.id}: {mutant.title}")
            found = self._carried(
                f"mutant {mutant.id}", hunt, server, mutant, CHECKS, self._emit, stock=stock
            )
            if found is not None:
                self._emit(found)

    def _blocks(self) -> None:
        """Run the programs, each block on a server of its own."""
        for number, drawn in enumerate(blocks(self.profile, self.seed)):
            self._phase(f"block {number + 1} of {self.profile.blocks}: a fresh server")
            with self._scratch() as server:
                self._block(server, drawn, killed=number < self.profile.kills)

    def _block(self, server: Scratch, drawn: Sequence[Draw], *, killed: bool) -> None:
        self._phase(f"{len(drawn)} programs")
        Block(server, self._emit, self._trouble, killed).run(drawn)

    def _confirm(self, found: Sequence[Finding]) -> None:
        self._phase("confirming what was found on a virgin server")
        with self._scratch() as server:
            self.examples = confirm(
                server,
                found,
                CHECKS,
                self._trouble,
                seed=self.seed,
                effort=self.profile.effort,
                cycles=self.profile.cycles,
            )

    def _explain(self, found: Sequence[Finding]) -> None:
        """Say of what the unchanged server is known to let cross why, and what avoids it."""
        for name in dict.fromkeys(one.name for one in found):
            for stock in getattr(self.package, "stock_crossings", tuple)():
                if name in stock.names and self.features.intersection(stock.needs):
                    self._emit(Explained(name, stock))

    def _carried(
        self, where: str, work: Callable[P, R], *args: P.args, **named: P.kwargs
    ) -> R | None:
        """Do it, and tell of whatever keeps it from being done: that is never a pass."""
        try:
            return work(*args, **named)
        except Exception as error:  # noqa: BLE001 - a check of anybody's may break in any way
            self._trouble(where, error)
        return None

    def _trouble(self, where: str, error: Exception) -> None:
        self._emit(Trouble(where, told(error)))

    def _phase(self, text: str) -> None:
        self._emit(Phase(text))

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        self.tell(event)


def _whole(check: Check, world: World) -> bool:
    check.run(world)
    return True
