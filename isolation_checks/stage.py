"""Carries out the steps of one program, whoever drew them: the sampler, a search, or a replay.

It holds the program's leases by letter. Only what is legal in its present state may be done; a step
that is not is `Illegal`, so that a shrinker can cut anything out of a trace.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from isolation_checks import nemesis
from isolation_checks.checks.authority import channel_of
from isolation_checks.events import Finding
from isolation_checks.steps import (
    FRESH,
    KILL_PROVIDER,
    LEASE,
    MASTER,
    MINT,
    OWN,
    RELEASE,
    RELEASE_AT_ONCE,
    SERVER,
    STRIKES,
    TRY,
    USE,
    Step,
)
from isolation_checks.world import BYSTANDER_CHANGED, Party, World, witness
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.errors import Unreachable
from warminfra.core.models import JsonObject

ALIVE, RELEASED, AFTER_RESTART = "alive", "released", "after restart"


class Illegal(ValueError):
    """The step is not possible in the present state."""


@dataclass(slots=True)
class Stage:
    """The state of a program that runs."""

    world: World
    parties: dict[str, Party] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    """How each lease is: alive, released, after restart."""
    steps: list[Step] = field(default_factory=list)
    replies: list[tuple[str, Reply]] = field(default_factory=list)
    """What each owner heard, in order."""
    crossed: bool = False
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds by kind of step."""

    def do(self, step: Step) -> tuple[str, ...]:
        """Carry it out; return what gives a crossing away, nothing if nothing crossed."""
        began = time.monotonic()
        self.steps.append(step)
        try:
            return self._do(step)
        finally:
            self.spent["nemesis" if step.do in STRIKES else step.do] += time.monotonic() - began

    def alive(self) -> list[str]:
        """Return the letters of the leases that live."""
        return [name for name, when in self.times.items() if when == ALIVE]

    def end(self) -> None:
        """Give back what still lives."""
        living = [self.parties[name].lease for name in self.alive()]
        began = time.monotonic()
        self.world.scratch.release(*living)
        self.spent[RELEASE] += time.monotonic() - began
        for name in self.alive():
            self.times[name] = RELEASED

    # ------------------------------------------------------------ the steps

    def _do(self, step: Step) -> tuple[str, ...]:
        scratch = self.world.scratch
        if step.do == LEASE:
            if step.who in self.parties:
                raise Illegal(f"{step.who} is leased already")
            self._enter(step.who, self.world.victim())
            return ()
        if step.do in STRIKES:
            nemesis.strike(step.do, scratch)
            if step.do == KILL_PROVIDER:
                self.times = {
                    name: when if when == ALIVE else AFTER_RESTART
                    for name, when in self.times.items()
                }
            return ()
        party = self.parties.get(step.who)
        if party is None:
            raise Illegal(f"there is no {step.who}")
        if step.do == TRY:
            return self._try(party, step)
        if self.times[step.who] != ALIVE:
            raise Illegal(f"{step.who} is dead")
        if step.do == FRESH:
            self._enter(step.who, scratch.surface.fresh(party.lease))
        elif step.do == MINT:
            self._mint(step.who, party.lease)
        elif step.do == USE:
            self.replies.append((step.who, self._use(party, step)))
        elif step.do == RELEASE:
            scratch.release(party.lease)
            self.times[step.who] = RELEASED
        elif step.do == RELEASE_AT_ONCE:
            nemesis.release_at_once(scratch, party.lease)
            self.times[step.who] = RELEASED
        else:
            raise Illegal(f"no such step: {step.do!r}")
        return ()

    def _enter(self, name: str, lease: JsonObject) -> None:
        self.parties[name], self.times[name] = Party(lease, ()), ALIVE

    def _mint(self, name: str, lease: JsonObject) -> None:
        self.parties[name] = Party(lease, self.world.scratch.surface.mint(lease))

    def _use(self, party: Party, step: Step) -> Reply:
        cell = _cell_of(step)
        credential = _of_kind(party.credentials, cell.kind)
        surface = self.world.scratch.surface
        if credential.one_shot:
            try:
                credential = surface.again(credential, party.lease)
            except Unreachable:
                return Reply(0, f"the owner gets no {credential.kind} any more")
        return surface.attempt(cell, credential, party.lease)

    def _try(self, party: Party, step: Step) -> tuple[str, ...]:
        cell, when = _cell_of(step), self.times[step.who]
        credential = _of_kind(party.credentials, cell.kind)
        if credential.one_shot and when == ALIVE:
            credential = self._twin(step.who, credential)
        self.world.when = when
        trace = self.world.crosses(cell, credential, self._place(party, step), step.where)
        self.world.when = ALIVE
        if trace:
            self.crossed = True
            channel = channel_of(cell, credential) if when == ALIVE else "X7"
            detail = f"A's {credential.kind} ({when}) is not answered like a forged one"
            self.world.report(
                Finding(
                    channel, "program", witness(cell, step.where), detail, trace, tuple(self.steps)
                )
            )
        return trace

    def _twin(self, name: str, credential: Credential) -> Credential:
        """Return a fresh one. What was tried may have ended its own session: then log in anew."""
        party = self.parties[name]
        try:
            return self.world.scratch.surface.again(credential, party.lease)
        except Unreachable:
            self._mint(name, party.lease)
            return _of_kind(self.parties[name].credentials, credential.kind)

    def _place(self, party: Party, step: Step) -> JsonObject | None:
        if step.where in (MASTER, SERVER):
            return None
        if step.where == OWN:
            if self.times[step.who] == ALIVE:
                raise Illegal(f"{step.who} lives")
            return party.lease
        if step.where == step.who or step.where not in self.alive():
            raise Illegal(f"there is no {step.where} to try it at")
        return self.parties[step.where].lease


def _cell_of(step: Step) -> Cell:
    if step.cell is None:
        raise Illegal(f"{step.do} where?")
    return step.cell


def _of_kind(credentials: Sequence[Credential], kind: str) -> Credential:
    for credential in credentials:
        if credential.kind == kind:
            return credential
    raise Illegal(f"no {kind} was minted")


def run_steps(world: World, steps: Sequence[Step], wanted: str = "") -> None:
    """Run a whole trace and give everything back; the world has what it found.

    A step may change its own lease alone, unless it strikes the installation. Where what is
    `wanted` happens to a bystander, there is one from the start.
    """
    stage = Stage(world)
    surface = world.scratch.surface
    if wanted == BYSTANDER_CHANGED:
        world.bystander()
    inside: dict[str, str] = {}
    try:
        for step in steps:
            stage.do(step)
            now = {name: surface.digest(stage.parties[name].lease) for name in stage.alive()}
            if step.do in STRIKES:
                world.look_again()
            else:
                for name in now.keys() & inside.keys() - {step.who}:
                    if now[name] != inside[name]:
                        detail = f"what is inside {name} changed by a step of {step.who}"
                        world.report(Finding("X1", "program", f"{name} changed", detail))
                world.watch()
            inside = now
    finally:
        stage.end()
        world.end()
