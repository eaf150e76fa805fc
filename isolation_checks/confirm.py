"""Is it so? What was found is cut down and shown once more, on a server that knows nothing of it.

Every confirmed finding becomes a counterexample: a program in steps where it can be told in some,
else the check that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from isolation_checks.checks.base import Check
from isolation_checks.events import Finding
from isolation_checks.minimise import Steps, minimised
from isolation_checks.scratch import Scratch
from isolation_checks.stage import Illegal, run_steps
from isolation_checks.world import World

Trouble = Callable[[str, Exception], None]

RUNS = 8
"""Most runs on the virgin server that one finding is cut down in."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A finding that was shown again, and what shows it: steps, or the check by its name."""

    finding: Finding
    steps: Steps
    again: tuple[str, ...]
    """What gave it away the second time."""


def confirm(
    server: Scratch,
    found: Sequence[Finding],
    checks: Iterable[Check],
    trouble: Trouble,
    *,
    seed: int = 0,
    effort: int = 1,
    cycles: int = 3,
) -> list[Counterexample]:
    """Show on a virgin server what can be shown again; the others are not in the list.

    A check that draws draws the same again: `seed`, `effort` and `cycles` are the audit's.
    """
    shown = []
    by_name = {finding.name: finding for finding in found}
    left = dict(by_name)
    for check in checks:
        ours = [one for one in found if one.check == check.name]
        if not ours:
            continue
        world = World(
            server, lambda _: None, seed=seed, effort=effort, check=check.name, cycles=cycles
        )
        again = _by_check(world, check, trouble)
        for finding in ours:
            if finding.name in again:
                shown.append(_example(server, finding, again[finding.name]))
                left.pop(finding.name, None)
    for finding in left.values():
        if finding.steps:
            example = _by_steps(server, finding, trouble, RUNS)
            if example:
                shown.append(example)
    return shown


def _example(server: Scratch, finding: Finding, again: Finding) -> Counterexample:
    """Tell it in the steps that the check gave, if they show it; else by the check."""
    by_steps = _by_steps(server, finding, _silent, 1) if finding.steps else None
    return by_steps or Counterexample(finding, (), again.trace)


def _silent(_where: str, _error: Exception) -> None:
    """The check has shown it already."""


def _by_check(world: World, check: Check, trouble: Trouble) -> dict[str, Finding]:
    try:
        check.run(world)
    except Exception as error:  # noqa: BLE001 - a check of anybody's may break in any way
        trouble(f"confirmation by {check.name}", error)
    return {finding.name: finding for finding in world.found}


def _by_steps(
    server: Scratch, finding: Finding, trouble: Trouble, runs: int
) -> Counterexample | None:
    seen: dict[Steps, tuple[str, ...]] = {}

    def shows(steps: Steps) -> bool:
        world = World(server, lambda _: None)
        try:
            run_steps(world, steps, finding.witness)
        except Illegal:
            return False  # something was cut out that the rest stands on
        except Exception as error:  # noqa: BLE001 - then this is not what shows it
            trouble(f"confirmation of {finding.name}", error)
        again = [one.trace for one in world.found if one.name == finding.name]
        if again:
            seen[steps] = again[0]
        return bool(again)

    steps = minimised(finding.steps, shows, runs)
    return Counterexample(finding, steps, seen[steps]) if steps is not None else None
