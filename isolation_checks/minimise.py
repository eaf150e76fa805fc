"""Makes a program that crosses shorter: whatever can be left out, is.

`shows` runs a program and says whether it still crosses in the same way; it decides, on a fake or
on a server. First everything is cut that the last step does not stand on, then step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolation_checks.steps import Step, needed_for

Steps = tuple[Step, ...]


def minimised(steps: Sequence[Step], shows: Callable[[Steps], bool], runs: int) -> Steps | None:
    """Return the shortest that was found in so many runs; None if not even all of it shows."""
    whole = tuple(steps)
    left = runs

    def tried(candidate: Steps) -> bool:
        nonlocal left
        left -= 1
        return shows(candidate)

    cut = needed_for(whole, len(whole) - 1)
    if tried(cut):
        best = cut
    elif cut != whole and tried(whole):
        best = whole
    else:
        return None
    number = len(best) - 1  # the last, too: what changed may have changed before
    while number >= 0 and left > 0:
        shorter = best[:number] + best[number + 1 :]
        if tried(shorter):
            best = shorter
        number -= 1
    return best
