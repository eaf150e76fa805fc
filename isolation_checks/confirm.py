"""Is it so? What was found is cut down and shown once more, on a server that knows nothing of it.

Every confirmed finding becomes a counterexample: a program in steps where it can be told in some,
else the check that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from isolation_checks.checks.base import Check
from isolation_checks.events import Finding
from isolation_checks.scratch import Scratch
from isolation_checks.stage import run_steps
from isolation_checks.steps import Step, needed_for
from isolation_checks.world import World

Trouble = Callable[[str, Exception], None]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A finding that was shown again, and what shows it: steps, or the check by its name."""

    finding: Finding
    steps: tuple[Step, ...]
    again: tuple[str, ...]
    """What gave it away the second time."""


def confirm(
    server: Scratch, found: Sequence[Finding], checks: Iterable[Check], trouble: Trouble
) -> list[Counterexample]:
    """Show on a virgin server what can be shown again; the others are not in the list."""
    shown = []
    by_name = {finding.name: finding for finding in found}
    left = dict(by_name)
    for check in checks:
        ours = [one for one in found if one.check == check.name]
        if not ours:
            continue
        again = _by_check(server, check, trouble)
        for finding in ours:
            if finding.name in again:
                shown.append(_example(finding, again[finding.name]))
                left.pop(finding.name, None)
    for finding in left.values():
        if finding.steps:
            example = _by_steps(server, finding, trouble)
            if example:
                shown.append(example)
    return shown


def _example(finding: Finding, again: Finding) -> Counterexample:
    return Counterexample(finding, finding.steps, again.trace)


def _by_check(server: Scratch, check: Check, trouble: Trouble) -> dict[str, Finding]:
    world = World(server, lambda _: None)
    try:
        check.run(world)
    except Exception as error:  # noqa: BLE001 - a check of anybody's may break in any way
        trouble(f"confirmation by {check.name}", error)
    return {finding.name: finding for finding in world.found}


def _by_steps(server: Scratch, finding: Finding, trouble: Trouble) -> Counterexample | None:
    """Try what the last step stands on, then the whole program."""
    for steps in dict.fromkeys((needed_for(finding.steps, len(finding.steps) - 1), finding.steps)):
        world = World(server, lambda _: None)
        try:
            run_steps(world, steps)
        except Exception as error:  # noqa: BLE001 - then this is not what shows it
            trouble(f"confirmation of {finding.name}", error)
        for again in world.found:
            if again.name == finding.name:
                return Counterexample(finding, steps, again.trace)
    return None
