"""What an audit ends with. Pure: events in, verdict out.

`approve` needs all of it: nothing crossed that the reviewer has not accepted by name, every check
ran with positive controls, every channel that is claimed killed a mutant in this audit, the planned
programs ran, and nothing went wrong. `revert` needs a violation that was seen again on a virgin
server. Everything else is `inconclusive`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isolation_checks.events import (
    CHANNELS,
    Checked,
    Event,
    Finding,
    Planted,
    Program,
    Tried,
    Trouble,
)
from isolation_checks.sampler import bound


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict with what it rests on."""

    outcome: str
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    accepted: tuple[str, ...]
    confirmed: tuple[str, ...]
    covered: tuple[str, ...]
    """Channels whose probe was seen to fire on a mutant in this audit."""
    not_covered: tuple[str, ...]
    programs: int
    bound: float
    cells_tried: int
    """Cells (a credential at a verb of an endpoint, at a target, at a time) that were tried."""
    cells_known: int
    untried: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many known cells were not tried, by kind of credential and time."""
    mutants: tuple[Planted, ...] = field(default=())
    tried_again: bool = True
    """Whether what was found could be tried again; else nothing is known of what is unconfirmed."""


def judge(
    events: Sequence[Event],
    *,
    planned: int,
    confirmed: frozenset[str],
    accepted: frozenset[str],
    checks: Sequence[str] = (),
    known: frozenset[tuple[str, str, str]] = frozenset(),
    tried_again: bool = True,
) -> Outcome:
    """Return the outcome of an audit that told `events`; `planned` programs, `checks` by name.

    `tried_again` says whether the confirmation of what was found came to its end.
    """
    findings = tuple(event for event in events if isinstance(event, Finding))
    troubles = [event for event in events if isinstance(event, Trouble)]
    planted = tuple(event for event in events if isinstance(event, Planted))
    checked = [event for event in events if isinstance(event, Checked)]
    programs = [event for event in events if isinstance(event, Program)]
    tried = [event for event in events if isinstance(event, Tried)]
    covered = _covered(checked, planted)
    open_findings = [finding for finding in findings if finding.name not in accepted]

    doubts = [f"{trouble.where}: {trouble.what}" for trouble in troubles]
    doubts += [
        f"mutant {mutant.mutant} ({mutant.title}) was not seen"
        for mutant in planted
        if not mutant.killed_by
    ]
    doubts += [
        f"check {check.check} had no positive control" for check in checked if not check.controls
    ]
    if not checked or not covered:
        doubts.append("no check ran, or none was seen to fire")
    ran = {check.check for check in checked}
    doubts += [f"check {name} did not come to its end" for name in checks if name not in ran]
    doubts += [f"program {one.number} tried nothing" for one in programs if not one.steps]
    if len(programs) < planned:
        doubts.append(f"{len(programs)} of {planned} programs ran")
    unconfirmed = [finding for finding in open_findings if finding.name not in confirmed]
    again = "was not seen again" if tried_again else "could not be tried again"
    doubts += [f"{finding.name} {again} on a virgin server" for finding in unconfirmed]

    certain = [finding for finding in open_findings if finding.name in confirmed]
    if certain:
        outcome, reasons = "revert", [f"{one.name}: {one.detail}" for one in certain]
    elif doubts:
        outcome, reasons = "inconclusive", doubts
    else:
        outcome, reasons = "approve", []
    clean = [program for program in programs if not program.crossed]
    touched = {(one.cell, one.target, one.when) for one in tried}
    return Outcome(
        outcome=outcome,
        reasons=tuple(reasons),
        findings=findings,
        accepted=tuple(one.name for one in findings if one.name in accepted),
        confirmed=tuple(sorted(confirmed)),
        covered=covered,
        not_covered=tuple(channel for channel in CHANNELS if channel not in covered),
        programs=len(programs),
        bound=bound(len(programs)) if len(clean) == len(programs) else 1.0,
        cells_tried=len(known & touched),
        cells_known=len(known),
        untried=Counter((_kind_of(cell), when) for cell, _, when in known - touched),
        mutants=planted,
        tried_again=tried_again,
    )


def _kind_of(cell: str) -> str:
    """Return the kind of credential of a cell that is told as text."""
    return cell.partition(" at ")[0]


def _covered(checked: Sequence[Checked], planted: Sequence[Planted]) -> tuple[str, ...]:
    ran = {channel for check in checked if check.controls for channel in check.channels}
    fired = {mutant.channel for mutant in planted if mutant.killed_by}
    return tuple(channel for channel in CHANNELS if channel in ran & fired)
