"""The numbers of a report, each with what it means. Pure: events in, numbers out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from isolation_checks.events import Event, Program, Tried

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Novelty:
    """How much of the behaviour the programs have not seen yet (Good–Turing: f1 ÷ n).

    A behaviour is endpoint, verb, kind of credential, and status. Of n observations f1 were the
    only one of their kind; f1 ÷ n estimates the chance that the next one is new.
    """

    observations: int
    kinds: int
    once: int

    @property
    def chance(self) -> float:
        """Return f1 ÷ n; 1 if nothing was seen."""
        return self.once / self.observations if self.observations else 1.0


def novelty(events: Sequence[Event]) -> Novelty:
    """Count the behaviours of the programs alone; the full matrix is no draw."""
    seen = Counter(
        (event.cell, event.status)
        for event in events
        if isinstance(event, Tried) and event.program and event.target != "owner"
    )
    return Novelty(seen.total(), len(seen), sum(1 for count in seen.values() if count == 1))


def at_most(hits: int, tries: int) -> float:
    """Return the exact upper bound (Clopper–Pearson, one-sided 95 %) of a rate: hits of tries."""
    if tries == 0 or hits >= tries:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        tail = sum(
            comb(tries, k) * middle**k * (1 - middle) ** (tries - k) for k in range(hits + 1)
        )
        low, high = (middle, high) if tail > 1 - _CONFIDENCE else (low, middle)
    return high


def pace(events: Sequence[Event]) -> float:
    """Return programs per second, over the time that programs took."""
    programs = [event for event in events if isinstance(event, Program)]
    seconds = sum(program.seconds for program in programs)
    return len(programs) / seconds if seconds else 0.0


def spent(events: Sequence[Event]) -> Mapping[str, float]:
    """Return the programs' seconds by kind of step, most first."""
    total: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if isinstance(event, Program):
            for name, seconds in event.spent.items():
                total[name] += seconds
    return dict(sorted(total.items(), key=lambda entry: -entry[1]))


def told(pace: float, spent: Mapping[str, float]) -> str:
    """Return the sentence on programs per second and the share of each kind of step."""
    whole = sum(spent.values())
    shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in spent.items())
    return f"{pace:.2f} programs per second. By kind of step: {shares}."
