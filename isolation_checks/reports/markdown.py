"""`report.md`: for a reviewer who knows nothing of the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from isolation_checks import figures
from isolation_checks.events import CHANNELS, Checked, Event, Noted, Program, Tried, Trouble
from isolation_checks.history import Entry, false_alarms, finished
from isolation_checks.verdict import Outcome

_MEANS = {
    "approve": "Nothing crossed between leases that was tried here, every probe was seen to work "
    "where it should, and the faults planted in this audit were all found.",
    "revert": "Something crossed between leases, and it was seen again on a server of its own. "
    "Runs may not share.",
    "inconclusive": "The audit does not say that runs may share, nor that they may not. See why.",
}
_ACCEPTS = (
    "What crossed between leases here the reviewer has accepted by name. Nothing else did; every "
    "probe was seen to work where it should, and the faults planted in this audit were all found."
)
_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Privilege": ("X1", "X14", "X16"),
    "Encryption and secrets": ("X4",),
    "Authentication": ("X2", "X3", "X7", "X8", "X15"),
    "Connectivity and host": ("X9", "X10", "X13"),
    "Hygiene": ("X5", "X6", "X11", "X12"),
}
"""The headings of PEACH, a framework for reviewing tenant isolation, and our channels below."""


def report(
    head: dict[str, str],
    events: Sequence[Event],
    outcome: Outcome,
    accepted: Sequence[str] = (),
    history: Sequence[Entry] = (),
) -> str:
    """Return the report. `accepted`: what the reviewer lets stand, each with why and until."""
    lines = [f"# May runs share? {outcome.outcome}", ""]
    if accepted:
        lines += ["**The reviewer's policy accepts, by name:**", ""]
        lines += [f"- {one}" for one in accepted]
        lines += ["", f"Of these {len(outcome.accepted)} were found in this audit.", ""]
    accepts = outcome.outcome == "approve" and outcome.accepted
    lines += [_ACCEPTS if accepts else _MEANS[outcome.outcome], ""]
    if outcome.reasons:
        lines += [*(f"- {reason}" for reason in outcome.reasons), ""]
    lines += ["## What was audited", ""]
    lines += [f"- {name}: {value}" for name, value in head.items()]
    lines += ["", *_tried(events, outcome), "", *_found(outcome), "", *_planted(outcome), ""]
    lines += _noted(events)
    lines += [*_headings(outcome), "", *_sure(outcome, events, history), ""]
    lines += [*_not_covered(outcome), "", *_audits(history), "", *_time(events), ""]
    lines += _troubles(events)
    return "\n".join(lines) + "\n"


def _tried(events: Sequence[Event], outcome: Outcome) -> list[str]:
    tried = [event for event in events if isinstance(event, Tried)]
    outcomes = Counter(event.outcome for event in tried)
    lines = [
        "## What was tried",
        "",
        "A credential of one lease is taken to another lease's and the server's own endpoints. Its "
        "answer must be, but for ids and times, the answer to a credential of the same form that "
        "never was valid.",
        "",
        f"Cells tried: {outcome.cells_tried} of {outcome.cells_known} known (a cell is a kind of "
        "credential at a verb of an endpoint, at a target, at a time: its lease alive, released, "
        "or released before the server was killed and started again).",
        "",
        f"{len(tried)} attempts: {outcomes['refused']} refused like a forged "
        f"credential, {outcomes['denied']} denied in words "
        f"that tell nothing of the target, {outcomes['own']} told of their own tenant alone, "
        f"{outcomes['common']} told of no tenant and nothing of the host, "
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
        confirmed = finding.name in outcome.confirmed
        states = ["accepted by the reviewer"] if finding.name in outcome.accepted else []
        states.append("confirmed on a virgin server" if confirmed else "seen once")
        state = ", ".join(states)
        lines += [f"### {finding.name}", "", f"{finding.detail} ({finding.check}; {state})", ""]
        lines += [f"    {entry}" for entry in finding.trace]
        if finding.steps:
            lines += ["", "The program that shows it:", ""]
            lines += [f"{n}. {step}" for n, step in enumerate(finding.steps, 1)]
        lines.append("")
    return lines


def _noted(events: Sequence[Event]) -> list[str]:
    noted = [event for event in events if isinstance(event, Noted)]
    if not noted:
        return []
    lines = ["## Noted, not judged", "", "| channel | what | |", "|---|---|---|"]
    lines += [f"| {one.channel} | {one.subject} | {one.text} |" for one in noted]
    return [*lines, ""]


def _planted(outcome: Outcome) -> list[str]:
    lines = [
        "## Can it see? Faults planted in this audit",
        "",
        "A prover that finds nothing may be blind. Each of these faults was put into the scratch "
        "installation on purpose; a channel counts as covered only if one of its faults was seen.",
        "",
        "| fault | channel | seen by | what gave it away | seconds |",
        "|---|---|---|---|---|",
    ]
    return lines + [
        f"| {one.mutant} {one.title} | {one.channel} | {one.killed_by or '**not seen**'} | "
        f"{one.witness} | {one.seconds:.1f} |"
        for one in outcome.mutants
    ]


def _headings(outcome: Outcome) -> list[str]:
    found = {finding.channel for finding in outcome.findings}
    lines = ["## By heading (PEACH)", "", "| heading | channel | |", "|---|---|---|"]
    for heading, channels in _HEADINGS.items():
        for channel in channels:
            state = "covered, nothing crossed" if channel in outcome.covered else "not covered"
            state = "**crossed**" if channel in found else state
            lines.append(f"| {heading} | {channel} {CHANNELS[channel]} | {state} |")
    return lines


def _sure(outcome: Outcome, events: Sequence[Event], history: Sequence[Entry]) -> list[str]:
    programs = [event for event in events if isinstance(event, Program)]
    lives = sum(1 for program in programs if program.kind == "life")
    steps = sum(len(program.steps) for program in programs)
    new = figures.novelty(events)
    entries = finished(history)
    alarms = false_alarms(entries)
    return [
        "## How sure one may be",
        "",
        f"- {outcome.programs} independent random programs ({lives} from the making of two leases "
        f"to their end, the others with users and clients of their own in leases that some share; "
        f"{steps} steps). Without a violation this excludes, with 95 % confidence, a rate above "
        f"{outcome.bound:.2%} of programs drawn as these were (1 − 0.05^(1/n)), in blocks on a "
        "server. It says nothing of programs that are drawn otherwise; search and the full matrix "
        "do not count.",
        f"- f1/n = {new.once}/{new.observations} = {new.chance:.1%}: the estimated chance that "
        "one more attempt of a program shows a behaviour (endpoint, verb, kind of credential, "
        f"status) that none has shown; {new.kinds} were seen.",
        f"- False alarms: {alarms} of {len(entries)} finished audits of this fingerprint and class "
        "found something that a virgin server did not show again; with 95 % confidence the rate is "
        f"at most {figures.at_most(alarms, len(entries)):.0%}.",
        "- The planted faults are ours: that they were seen says that the probes work, not that "
        "no other fault is there.",
    ]


def _not_covered(outcome: Outcome) -> list[str]:
    lines = [
        "## What was not covered",
        "",
        "No claim is made on these channels: the profile does not look at them, or no probe of "
        "theirs was seen to fire in this audit.",
        "",
    ]
    return lines + [f"- {channel}: {CHANNELS[channel]}" for channel in outcome.not_covered]


def _audits(history: Sequence[Entry]) -> list[str]:
    if not history:
        return []
    lines = [
        f"## All {len(history)} audits of this fingerprint and class",
        "",
        "| n of m | verdict | begun | profile | outcome | found |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {n} of {len(history)} | {one['id']} | {one['created_at']} | {one['profile']} | "
        f"{one['outcome']} | {', '.join(one['findings']) or '-'} |"
        for n, one in enumerate(history, 1)
    ]


def _time(events: Sequence[Event]) -> list[str]:
    spent = figures.spent(events)
    if not spent:
        return []
    told = figures.told(figures.pace(events), spent)
    return ["## Where the programs' time went", "", told]


def _troubles(events: Sequence[Event]) -> list[str]:
    troubles = [event for event in events if isinstance(event, Trouble)]
    if not troubles:
        return []
    return ["## What could not be carried through", ""] + [
        f"- {event.where}: {event.what}" for event in troubles
    ]
