"""`report.md`: for a reviewer who knows nothing of the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from isolation_checks.events import CHANNELS, Checked, Event, Program, Tried, Trouble
from isolation_checks.verdict import Outcome

_MEANS = {
    "approve": "Nothing crossed between leases that was tried here, every probe was seen to work "
    "where it should, and the faults planted in this audit were all found.",
    "revert": "Something crossed between leases, and it was seen again on a server of its own. "
    "Runs may not share.",
    "inconclusive": "The audit does not say that runs may share, nor that they may not. See why.",
}


def report(head: dict[str, str], events: Sequence[Event], outcome: Outcome) -> str:
    """Return the report."""
    lines = [f"# May runs share? {outcome.outcome}", "", _MEANS[outcome.outcome], ""]
    if outcome.accepted:
        lines += ["**Accepted by the reviewer, by name:** " + ", ".join(outcome.accepted), ""]
    lines += [f"- {reason}" for reason in outcome.reasons]
    lines += ["", "## What was audited", ""]
    lines += [f"- {name}: {value}" for name, value in head.items()]
    lines += ["", *_tried(events), "", *_found(outcome), "", *_planted(outcome), ""]
    lines += [*_sure(outcome, events), "", *_not_covered(outcome), "", *_troubles(events)]
    return "\n".join(lines) + "\n"


def _tried(events: Sequence[Event]) -> list[str]:
    tried = [event for event in events if isinstance(event, Tried)]
    outcomes = Counter(event.outcome for event in tried)
    lines = [
        "## What was tried",
        "",
        f"{len({event.cell for event in tried})} cells (a kind of credential at a verb of an "
        f"endpoint), {len(tried)} attempts: {outcomes['refused']} refused like a forged "
        f"credential, {outcomes['denied']} denied in words "
        f"that tell nothing of the target, {outcomes['own']} told of their own tenant alone, "
        f"{outcomes['crossed']} crossed; {outcomes['works']} positive controls passed at "
        f"the owner, {outcomes['mute']} told nothing.",
        "",
        "| check | channels | attempts | controls | seconds |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {event.check} | {', '.join(event.channels)} | {event.attempts} | {event.controls} | "
        f"{event.seconds:.1f} |"
        for event in events
        if isinstance(event, Checked)
    ]
    return lines


def _found(outcome: Outcome) -> list[str]:
    lines = ["## What was found", ""]
    if not outcome.findings:
        return [*lines, "Nothing."]
    for finding in outcome.findings:
        state = (
            "accepted"
            if finding.name in outcome.accepted
            else (
                "confirmed on a virgin server" if finding.name in outcome.confirmed else "seen once"
            )
        )
        lines += [f"### {finding.name}", "", f"{finding.detail} ({finding.check}; {state})", ""]
        lines += [f"    {entry}" for entry in finding.trace]
    return lines


def _planted(outcome: Outcome) -> list[str]:
    lines = [
        "## Can it see? Faults planted in this audit",
        "",
        "| fault | channel | seen by | what gave it away | seconds |",
        "|---|---|---|---|---|",
    ]
    return lines + [
        f"| {one.mutant} {one.title} | {one.channel} | {one.killed_by or '**not seen**'} | "
        f"{one.witness} | {one.seconds:.1f} |"
        for one in outcome.mutants
    ]


def _sure(outcome: Outcome, events: Sequence[Event]) -> list[str]:
    steps = sum(len(event.steps) for event in events if isinstance(event, Program))
    return [
        "## How sure one may be",
        "",
        f"{outcome.programs} independent random programs ({steps} steps) ran. Without a violation "
        f"this excludes, with 95 % confidence, a rate above {outcome.bound:.1%} of programs drawn "
        "as these were (1 − 0.05^(1/n)). It says nothing of programs that are drawn otherwise.",
    ]


def _not_covered(outcome: Outcome) -> list[str]:
    lines = ["## What was not covered", ""]
    return lines + [f"- {channel}: {CHANNELS[channel]}" for channel in outcome.not_covered]


def _troubles(events: Sequence[Event]) -> list[str]:
    troubles = [event for event in events if isinstance(event, Trouble)]
    if not troubles:
        return []
    return ["## What could not be carried through", ""] + [
        f"- {event.where}: {event.what}" for event in troubles
    ]
