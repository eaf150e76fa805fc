"""`audit --self-test`: plants the whole catalogue on a live server and keeps the kill table.

Plain forms first, then stealth forms, then those that take a start of their own. A scratch server
that does not survive a fault is replaced, and the fault is tried once more on the new one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isolation_checks.engine import CHECKS, DEAR_CHECKS
from isolation_checks.events import PLAIN, Event, Phase, Planted, Rehearsed, Trouble
from isolation_checks.hunt import hunt, told
from isolation_checks.mutants.base import Absent, Mutant
from isolation_checks.mutants.catalogue import ABSENT, MUTANTS
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.spoiled import rehearse
from isolation_checks.world import World
from warminfra.config.settings import Settings
from warminfra.core.audit import AuditPackage

UNSPOILED = "P0"
"""The prover as it is, in a rehearsal."""
REHEARSED = next(mutant for mutant in MUTANTS if mutant.id == "M12")
"""The fault that it and the spoiled ones are shown."""

Planned = tuple[Mutant, str]
"""A mutant and the form in which it is planted."""


@dataclass(frozen=True, slots=True)
class KillTable:
    """What was planted, what saw it, and what cannot be planted here."""

    lease_class: str
    seed: int
    planted: tuple[Planted, ...]
    absent: tuple[Absent, ...]
    troubles: tuple[Trouble, ...]
    rehearsed: tuple[Rehearsed, ...]
    """How the prover as it is ended (`UNSPOILED`), and the spoiled ones."""
    seconds: float

    @property
    def survivors(self) -> list[Planted]:
        """Return what nothing saw."""
        return [one for one in self.planted if not one.killed_by]

    @property
    def believed(self) -> list[Rehearsed]:
        """Return the provers that did not end as they must: the spoiled ones inconclusive."""
        must = {UNSPOILED: "approve"}
        return [
            one for one in self.rehearsed if one.outcome != must.get(one.spoiled, "inconclusive")
        ]


@dataclass(slots=True)
class SelfTest:
    """One self-test; `run` once."""

    settings: Settings
    package: AuditPackage
    recipe: Path
    lease_class: str
    seed: int
    tell: Callable[[Event], None]
    mutants: Sequence[Mutant] = MUTANTS
    planted: list[Planted] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    rehearsed: list[Rehearsed] = field(default_factory=list)

    def run(self) -> KillTable:
        """Plant everything. Raises what a scratch installation raises that does not come up."""
        began = time.monotonic()
        todo: deque[Planned] = deque()
        absent: list[Absent] = [*ABSENT]
        again: set[Planned] = set()
        stock: frozenset[str] | None = None
        while todo or stock is None:
            with scratch(self.settings, self.package, self.recipe, self._phase) as server:
                if stock is None:
                    fit = [one for one in self.mutants if one.applies(server.template)]
                    absent += [_not_here(one) for one in self.mutants if one not in fit]
                    todo.extend(planned(fit, self.lease_class))
                    stock = self._stock(server)
                    self._phase("provers spoiled on purpose")
                    rehearse(server, REHEARSED, self._note)
                while todo:
                    mutant, form = todo[0]
                    self._phase(f"planting {mutant.id}: {mutant.title} ({form})")
                    checks = (*CHECKS, *DEAR_CHECKS) if mutant.dear else CHECKS
                    try:
                        found = hunt(
                            server,
                            mutant,
                            checks,
                            self._note,
                            form=form,
                            seed=self.seed,
                            stock=stock,
                        )
                    except Exception as error:  # noqa: BLE001 - the next fault is planted anew
                        self._note(Trouble(f"mutant {mutant.id}", told(error)))
                        if todo[0] not in again:
                            again.add(todo[0])
                            break  # on a server of its own
                        found = _unseen(mutant, form)
                    todo.popleft()
                    self.planted.append(found)
                    self.tell(found)
        return KillTable(
            self.lease_class,
            self.seed,
            tuple(self.planted),
            tuple(absent),
            tuple(self.troubles),
            tuple(self.rehearsed),
            time.monotonic() - began,
        )

    def _stock(self, server: Scratch) -> frozenset[str]:
        """Return the names of what is found where nothing is planted: it says nothing of a fault.

        A check that breaks here is trouble; what it would see of a fault counts all the same.
        """
        found: set[str] = set()
        for check in CHECKS:
            self._phase(f"nothing planted: {check.name}")
            world = World(server, lambda _: None)
            try:
                check.run(world)
            except Exception as error:  # noqa: BLE001 - told, and looked at by the reviewer
                self._note(Trouble(f"nothing planted, {check.name}", told(error)))
            found |= {one.name for one in world.found}
            server.abandon()
        return frozenset(found)

    def _note(self, event: Event) -> None:
        if isinstance(event, Trouble):
            self.troubles.append(event)
        elif isinstance(event, Rehearsed):
            self.rehearsed.append(event)
        self.tell(event)

    def _phase(self, text: str) -> None:
        self.tell(Phase(text))


def planned(mutants: Sequence[Mutant], lease_class: str) -> Iterator[Planned]:
    """Yield what is planted for a class, in its order."""
    fit = [mutant for mutant in mutants if lease_class in mutant.classes]
    yield from ((mutant, PLAIN) for mutant in fit if not mutant.dear)
    yield from ((mutant, form) for mutant in fit for form in mutant.forms)
    yield from ((mutant, PLAIN) for mutant in fit if mutant.dear)


def _not_here(mutant: Mutant) -> Absent:
    reason = "the recipe's template has nothing that this fault is in"
    return Absent(mutant.id, mutant.title, mutant.channel, reason)


def _unseen(mutant: Mutant, form: str) -> Planted:
    return Planted(mutant.id, mutant.title, mutant.channel, "", "", 0.0, form)
