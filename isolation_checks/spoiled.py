"""P1–P9: provers that are spoiled on purpose. None of them may ever end with `approve`.

Each is put in place of the prover for a rehearsal: the senses, one check, one planted fault, one
program, and the same judge as for any audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from isolation_checks.checks.base import Check
from isolation_checks.checks.keys import Keys
from isolation_checks.checks.senses import Senses
from isolation_checks.events import Checked, Event, Planted, Program, Rehearsed, Trouble
from isolation_checks.mutants.base import Mutant
from isolation_checks.sampler import run_life
from isolation_checks.scratch import Scratch
from isolation_checks.verdict import Outcome, judge
from isolation_checks.world import World
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.models import JsonObject

NewWorld = Callable[[Scratch, Callable[[Event], None]], World]
RunProgram = Callable[[World, int, int], Program]
RunCheck = Callable[[Check, World], None]

PAGE = 3
"""Things on the first page that a look of P8 ends with."""


class _Surface:
    """A surface that passes everything on; a spoiled one overrides what it spoils."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Expired(_Surface):
    def mint(self, lease: JsonObject) -> Sequence[Credential]:
        return [self._real.never_valid(one) for one in self._real.mint(lease)]

    def again(self, credential: Credential, lease: JsonObject) -> Credential:
        return credential


class _NoScan(_Surface):
    def attempt(self, cell: Cell, credential: Credential, target: JsonObject | None) -> Reply:
        reply: Reply = self._real.attempt(cell, credential, target)
        return replace(reply, mentions=frozenset())


class _SameWithSame(_Surface):
    def never_valid(self, credential: Credential) -> Credential:
        return credential


class _Cached(_Surface):
    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self._looks: dict[tuple[str, str], str] = {}

    def digest(self, lease: JsonObject) -> str:
        return self._looks.setdefault(("digest", lease["id"]), self._real.digest(lease))

    def inside(self, lease: JsonObject) -> str:
        return self._looks.setdefault(("inside", lease["id"]), self._real.inside(lease))


class _FirstPage(_Surface):
    def inventory(self) -> Mapping[str, frozenset[str]]:
        whole = self._real.inventory()
        return {kind: frozenset(sorted(things)[:PAGE]) for kind, things in whole.items()}


class _Away(_Surface):
    def attempt(self, cell: Cell, credential: Credential, target: JsonObject | None) -> Reply:
        raise ConnectionError("nothing answers")


class _Lenient(World):
    """A world that lets everything pass."""

    def crosses(
        self, cell: Cell, credential: Credential, target: JsonObject | None, where: str
    ) -> tuple[str, ...]:
        self.attempts += 1
        return ()


def _run(check: Check, world: World) -> None:
    check.run(world)


def _swallow(check: Check, world: World) -> None:
    with suppress(Exception):  # this is the fault
        check.run(world)


def _apart(server: Scratch) -> Scratch:
    """Return the installation as it would be if every lease were on an instance of its own."""
    spoiled = cast(Scratch, _Surface(server))
    spoiled.instance_of = lambda lease: lease["id"]  # type: ignore[method-assign]
    return spoiled


@dataclass(frozen=True, slots=True)
class Spoiled:
    """One way to spoil a prover."""

    id: str
    title: str
    surface: Callable[[Any], Any] = lambda real: real
    server: Callable[[Scratch], Scratch] = lambda server: server
    world: NewWorld = World
    program: RunProgram = run_life
    run: RunCheck = _run


SPOILED: tuple[Spoiled, ...] = (
    Spoiled("P1", "the probe's credentials are expired", _Expired),
    Spoiled("P2", "the scan for names of tenants is off", _NoScan),
    Spoiled("P3", "A is compared with A", _SameWithSame),
    Spoiled("P4", "what is inside B is read from a cache", _Cached),
    Spoiled("P5", "exceptions are swallowed", _Away, run=_swallow),
    Spoiled(
        "P6",
        "no program runs",
        program=lambda world, number, seed: Program(number, seed, (), False),
    ),
    Spoiled("P7", "everything is allowed", world=_Lenient),
    Spoiled("P8", "the inventory ends with its first page", _FirstPage),
    Spoiled("P9", "A and B are on different instances", server=_apart),
)


@dataclass(slots=True)
class Rehearsal:
    """A small audit on a server that runs, by a prover as it is or by a spoiled one."""

    server: Scratch
    mutant: Mutant
    checks: Sequence[Check] = (Senses(), Keys())
    events: list[Event] = field(default_factory=list)

    def run(self, how: Spoiled | None = None) -> Outcome:
        """Carry it out; return what it ends with."""
        spoiled = how or Spoiled("", "as it is")
        self.events.clear()
        server = spoiled.server(replace(self.server, surface=spoiled.surface(self.server.surface)))
        for check in self.checks:
            world = spoiled.world(server, self.events.append)
            try:
                spoiled.run(check, world)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no pass
                self.events.append(Trouble(check.name, str(error)))
            else:
                told = Checked(check.name, check.channels, world.attempts, world.controls, 0.0)
                self.events.append(told)
        self._plant(server, spoiled)
        try:
            world = spoiled.world(server, self.events.append)
            self.events.append(spoiled.program(world, 1, 1))
            world.end()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no pass
            self.events.append(Trouble("program 1", str(error)))
        names = tuple(check.name for check in self.checks)
        nothing: frozenset[str] = frozenset()
        return judge(self.events, planned=1, checks=names, confirmed=nothing, accepted=nothing)

    def _plant(self, server: Scratch, spoiled: Spoiled) -> None:
        world = spoiled.world(server, lambda _: None)
        with self.mutant.planted(server):
            for check in self.checks:
                if self.mutant.channel in check.channels:
                    _swallow(check, world)
        seen = [one for one in world.found if one.channel == self.mutant.channel]
        by, witness = (seen[0].check, seen[0].witness) if seen else ("", "")
        mutant = self.mutant
        self.events.append(Planted(mutant.id, mutant.title, mutant.channel, by, witness, 0.0))


def rehearse(server: Scratch, mutant: Mutant, tell: Callable[[Event], None]) -> bool:
    """Let the prover as it is, then each spoiled one, rehearse; say whether all is as it must be.

    As it is it must not be inconclusive, or the others would prove nothing.
    """
    rehearsal = Rehearsal(server, mutant)
    good = True
    for spoiled in (Spoiled("P0", "the prover as it is"), *SPOILED):
        outcome = rehearsal.run(spoiled)
        expected = "approve" if spoiled.id == "P0" else "inconclusive"
        good = good and outcome.outcome == expected
        reason = outcome.reasons[0] if outcome.reasons else ""
        tell(Rehearsed(spoiled.id, spoiled.title, outcome.outcome, reason))
    return good
