"""Plants one mutant and looks for it with the checks of its channel, until one sees it.

Where one check is there for it (`seen_by`), that one has to see it.

What is counted is what it took: attempts, rounds and seconds up to the first finding in the
mutant's own channel. Afterwards the installation is as it was: the plant is clear, and every lease
that a check was stopped with is given back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set

from isolation_checks.checks.base import Check
from isolation_checks.events import PLAIN, Event, Finding, Planted, Trouble
from isolation_checks.mutants.base import Mutant
from isolation_checks.scratch import Scratch
from isolation_checks.stealth import AFTER_CRASH, ROUNDS, stealthy
from isolation_checks.world import Emit, World
from warminfra.core.errors import WarminfraError


class _Seen(BaseException):
    """The mutant is seen: nothing more has to be tried. No check may catch it."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding


def hunt(
    scratch: Scratch,
    mutant: Mutant,
    checks: Sequence[Check],
    tell: Emit,
    *,
    form: str = PLAIN,
    seed: int = 0,
    stock: Set[str] = frozenset(),
) -> Planted:
    """Plant it in the form, look for it, take it away. Trouble of a check is told, not raised.

    What is found without the fault too (`stock`, by name) says nothing of it.
    """
    planted = stealthy(mutant, form, seed)
    looking = [check for check in checks if _looks(check, mutant)]
    began, attempts, rounds = time.monotonic(), 0, 0
    seen: Finding | None = None
    troubles: list[str] = []

    def stop(event: Event) -> None:
        if not isinstance(event, Finding) or event.name in stock:
            return
        if event.channel == mutant.channel:
            raise _Seen(event)

    try:
        with planted.planted(scratch):
            if form == AFTER_CRASH:
                scratch.kill_service()
            while seen is None and rounds < ROUNDS[form]:
                rounds += 1
                for check in looking:
                    world = World(scratch, stop)
                    try:
                        check.run(world)
                    except _Seen as found:
                        seen = found.finding
                    except Exception as error:  # noqa: BLE001 - a check that breaks saw nothing
                        troubles.append(f"{check.name}: {told(error)}")
                    attempts += world.attempts
                    if seen is not None:
                        break
                    scratch.abandon()
    finally:
        scratch.plant.clear()
        scratch.abandon()
    if seen is None:
        for text in dict.fromkeys(troubles):
            tell(Trouble(f"mutant {mutant.id}", text))
    return Planted(
        mutant.id,
        mutant.title,
        mutant.channel,
        seen.check if seen else "",
        seen.witness if seen else "",
        time.monotonic() - began,
        form,
        attempts,
        rounds,
    )


def _looks(check: Check, mutant: Mutant) -> bool:
    return mutant.channel in check.channels and mutant.seen_by in ("", check.name)


def told(error: Exception) -> str:
    """Return what an error says; of one that is none of ours, its kind too."""
    plain = isinstance(error, WarminfraError | AssertionError)
    return str(error) if plain else f"{type(error).__name__}: {error}"
