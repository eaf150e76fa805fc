"""Stealth forms: the same fault, but rarely there. Wrappers over any mutant, no copies of it.

A form decides for each tenant, and stays with what it decided: half of a fault would be another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from isolation_checks.events import PLAIN
from isolation_checks.mutants.base import Mutant
from isolation_checks.plant import Fires
from isolation_checks.scratch import Scratch

ONE_IN_TEN = "once in ten"
TWO_LIVE = "only with two live leases"
USED_BEFORE = "only on a name used before"
AFTER_CRASH = "only after a crash"

ROUNDS = {PLAIN: 1, ONE_IN_TEN: 60, TWO_LIVE: 3, USED_BEFORE: 3, AFTER_CRASH: 2}
"""How often the checks of its channel are run at most. Sixty looks at one or more tenants each miss
a fault that is at one tenant in ten with a chance of 0.9^60 = 0.2 %."""


@dataclass(slots=True)
class _Remembered:
    """A decision that is made once for each tenant and moment."""

    decide: Callable[[str], bool]
    said: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __call__(self, tenant: str, moment: str, /) -> bool:
        return self.said.setdefault((tenant, moment), self.decide(tenant))


def stealthy(mutant: Mutant, form: str, seed: int) -> Mutant:
    """Return the mutant in a stealth form."""
    if form == PLAIN:
        return mutant

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        fires: Fires = _FORMS[form](scratch, seed)
        with mutant.planted(scratch):
            scratch.plant.fires = fires
            yield

    return replace(mutant, planted=planted, forms=(form,))


def _one_in_ten(scratch: Scratch, seed: int) -> Fires:
    """Each tenant by its own chance, the same at its beginning and its end."""

    def fires(tenant: str, _moment: str, /) -> bool:
        return random.Random(f"{seed} {tenant}").random() < 0.1

    return fires


def _two_live(scratch: Scratch, seed: int) -> Fires:
    """While another lease lives."""

    def decide(tenant: str) -> bool:
        return any(lease.id != tenant for lease in scratch.parts.ledger.leases.active())

    return _Remembered(decide)


def _used_before(scratch: Scratch, seed: int) -> Fires:
    """From the second lease on: its users' names were another's before. A realm's never is."""
    met: list[str] = []

    def fires(tenant: str, _moment: str, /) -> bool:
        if tenant not in met:
            met.append(tenant)
        return met.index(tenant) > 0

    return fires


def _after_crash(scratch: Scratch, seed: int) -> Fires:
    """Once the service has died and come again."""
    before = scratch.crashes

    def decide(_tenant: str) -> bool:
        return scratch.crashes > before

    return _Remembered(decide)


_FORMS: Mapping[str, Callable[[Scratch, int], Fires]] = {
    ONE_IN_TEN: _one_in_ten,
    TWO_LIVE: _two_live,
    USED_BEFORE: _used_before,
    AFTER_CRASH: _after_crash,
}
FORMS = tuple(_FORMS)
