"""The language of programs: what two or three holders do, one step after the other.

A trace is a list of steps in JSON of our own, so that it can be kept, cut down and run again with
any version. A step names leases by letters; secrets never stand in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from warminfra.core.audit import Cell

MASTER, SERVER, OWN = "master", "the server", "its own dead lease"
"""Places that are no living lease; everything else names one."""

LEASE, FRESH, MINT, TRY, USE, RELEASE = "lease", "fresh", "mint", "try", "use", "release"
RELEASE_AT_ONCE = "release at once"
KILL_PROVIDER, KILL_SERVICE = "kill provider", "kill service"
STRIKES = (KILL_PROVIDER, KILL_SERVICE, "lose a reply", "slow", "jump clock")
"""What a nemesis does to the installation; it hits nobody in particular."""
VERBS = (LEASE, FRESH, MINT, TRY, USE, RELEASE, RELEASE_AT_ONCE, *STRIKES)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program: `who` does `do`; to try or use, in a cell, at a place."""

    do: str
    who: str = ""
    cell: Cell | None = None
    where: str = ""

    def __str__(self) -> str:
        if self.cell is None:
            return f"{self.do} {self.who}".strip()
        at = f" of {self.where}" if self.where else ""
        return f"{self.who} tries {self.cell}{at}" if self.do == TRY else f"{self.who}: {self.cell}"


def to_json(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return the trace as it is kept."""
    return [
        {name: value for name, value in asdict(step).items() if value not in (None, "")}
        for step in steps
    ]


def from_json(trace: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Read a trace. Raises `ValueError` for a step that there is not."""
    steps = []
    for entry in trace:
        if entry.get("do") not in VERBS:
            raise ValueError(f"no such step: {entry.get('do')!r}")
        cell = entry.get("cell")
        steps.append(
            Step(
                entry["do"],
                entry.get("who", ""),
                Cell(**cell) if cell else None,
                entry.get("where", ""),
            )
        )
    return tuple(steps)


def needed_for(steps: Sequence[Step], last: int) -> tuple[Step, ...]:
    """Cut a trace down to what step `last` stands on: its leases, their ends, restarts.

    What other leases did, and what was tried before, goes. Whether the rest still crosses is for
    a run to say.
    """
    step = steps[last]
    names = {step.who, step.where}
    kept = [
        one
        for one in steps[:last]
        if (one.who in names and one.do not in (TRY, USE))
        or one.do in (KILL_PROVIDER, KILL_SERVICE)
    ]
    return (*kept, step)


def of_one_try(cell: Cell, where: str, when: str) -> tuple[Step, ...]:
    """Return the shortest program in which a credential of A is tried there, at that time."""
    steps = [Step(LEASE, "A"), Step(MINT, "A")]
    if where == "B":
        steps.insert(0, Step(LEASE, "B"))
    if when != "alive":
        steps.append(Step(RELEASE, "A"))
    if when == "after restart":
        steps.append(Step(KILL_PROVIDER))
    return (*steps, Step(TRY, "A", cell, where))


def renamed(steps: Iterable[Step], names: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps with their leases called otherwise."""
    return tuple(
        replace(step, who=names.get(step.who, step.who), where=names.get(step.where, step.where))
        for step in steps
    )
