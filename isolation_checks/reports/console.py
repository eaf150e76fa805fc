"""What a person sees while an audit runs: phases, findings as they come, mutants, the verdict."""

from __future__ import annotations

from collections.abc import Callable

from isolation_checks.events import (
    PLAIN,
    Checked,
    Event,
    Explained,
    Finding,
    Phase,
    Planted,
    Rehearsed,
    Trouble,
)
from isolation_checks.verdict import Outcome

Say = Callable[[str], None]


def line(event: Event) -> str:
    """Return the event in one line, "" for what is not for people."""
    match event:
        case Phase(text):
            return f"→ {text}"
        case Finding():
            return f"  CROSSED {event.name}: {event.detail}"
        case Explained(finding, stock):
            return f"  {finding} is known ({stock.upstream}); avoided by: {stock.avoided_by}"
        case Checked(check, _, attempts, controls, seconds):
            return f"  {check}: {attempts} attempts, {controls} controls passed, {seconds:.1f} s"
        case Planted(mutant, title, channel, killed_by, _, seconds, form, attempts):
            end = f"seen by {killed_by}" if killed_by else "NOT SEEN"
            how = "" if form == PLAIN else f", {form}"
            return (
                f"  {mutant} ({channel}, {title}{how}): {end}, {attempts} attempts, {seconds:.1f} s"
            )
        case Rehearsed(spoiled, title, ended, reason):
            return f"  {spoiled} ({title}): {ended}{f', {reason}' if reason else ''}"
        case Trouble(where, what):
            return f"  TROUBLE {where}: {what}"
    return ""


def summary(outcome: Outcome) -> list[str]:
    """Return the verdict in a few lines."""
    lines = [f"verdict: {outcome.outcome}"]
    lines += [f"  {reason}" for reason in outcome.reasons]
    if outcome.accepted:
        lines.append("accepted by the reviewer: " + ", ".join(outcome.accepted))
    lines.append(f"cells: {outcome.cells_tried} tried of {outcome.cells_known} known")
    lines.append(
        f"{outcome.programs} programs: a rate above {outcome.bound:.1%} is excluded with 95 % "
        "confidence, for programs drawn as these"
    )
    lines.append(f"covered: {', '.join(outcome.covered) or 'nothing'}")
    lines.append(f"not covered: {', '.join(outcome.not_covered)}")
    return lines
