"""`report.md`: for a reviewer who knows nothing of the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from isolation_checks import figures
from isolation_checks.events import (
    CHANNELS,
    Checked,
    Event,
    Finding,
    LeftOut,
    Noted,
    Program,
    Tried,
    Trouble,
    explanations,
)
from isolation_checks.history import Entry, false_alarms, finished
from isolation_checks.verdict import Outcome
from warminfra.core.audit import StockCrossing

_ANSWER = {
    "approve": "Nothing speaks against it",
    "revert": "No",
    "inconclusive": "That is not shown",
}
_MEANS = {
    "approve": "Nothing crossed between leases that was tried here, every probe was seen to work "
    "where it should, and the faults planted in this audit were all found.",
    "revert": "What is promised of leases did not hold, and that was seen again on a server of its "
    "own. {bound} may not share.",
    "inconclusive": "The audit does not say that runs may share, nor that they may not. See why.",
}
_BOUND = {"user": "Runs", "admin": "Runs with an admin of their tenant"}
"""Who is bound by a revert, by the attacker's class."""
_ACCEPTS = (
    "What crossed between leases here the reviewer has accepted by name. Nothing else did; every "
    "probe was seen to work where it should, and the faults planted in this audit were all found."
)
_NEXT = {
    "approve": "Decide: `warminfra approve {verdict} --why …`. Runs share by it if its profile is "
    "at least `sharing.min_profile` (by default `standard`) and while it is younger than "
    "`sharing.max_age`, for this fingerprint, class and these features alone; where "
    "`sharing.require` is `audit`, without a reviewer's word. An audit with a number of faults of "
    "one's own choice (`audit verify --rerun`) is for comparison and opens nothing.",
    "revert": "Under policy `proven` these runs get a server each as soon as the service has "
    "recorded this verdict; nothing has to be done for that. The verdict stands for its "
    "fingerprint, whatever a later audit ends with, until each of its findings is accepted by name "
    "and until a day (`[[audit.accept]]` with `channel`, `witness`, `why` and `until` in the "
    "configuration of the user or the system; a finding's name is `channel:witness`), or until the "
    "server, its options or our code are others. To share all the same, take what avoids each "
    "group under *What was found*. A setting of the server makes another fingerprint: audit again. "
    "A change of the recipe does not: audit it (`warminfra audit --profile standard --class user "
    "--recipe …`), and accept here what it does not meet any more, with that for a reason.",
    "inconclusive": "Mend what is named, and audit again.",
}
_ANSWERS = (
    ("refused", "refused, in the words in which a forged one is refused", "nothing crossed"),
    (
        "denied",
        "denied (403), in words that tell nothing of the target: the same are said at a lease that "
        "takes no part (or by the server itself, once more)",
        "nothing crossed",
    ),
    ("own", "a look at the server itself that told of the holder's own tenant alone", "no harm"),
    ("common", "a look at the server itself that told of no tenant and not of its host", "no harm"),
    (
        "crossed",
        "answered otherwise than a forged one, or let in as that is",
        "**a finding**, told once for each name; other findings come from what checks compare",
    ),
    ("works", "went through where it should: the positive control", "the probe works"),
    ("mute", "not told from a forged one where it should work", "proves nothing there"),
)
_AUDITED = (
    "## What was audited",
    "",
    "A *recipe* says which app a run tests and what it wants of the server. Of the *template* that "
    "is made from it every lease gets a tenant of its own (a realm). A *feature* is a part of a "
    "template that a verdict has to cover by name.",
    "",
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
    replays: Mapping[str, str] | None = None,
    lease_class: str = "user",
) -> str:
    """Return the report.

    `lease_class`: the attacker's. `accepted`: what the reviewer lets stand, each with why and
    until. `replays`: by a finding's name the script that shows it again.
    """
    lines = [f"# May runs share? {_ANSWER[outcome.outcome]} ({outcome.outcome})", ""]
    if accepted:
        lines += ["**The reviewer's policy accepts, by name:**", ""]
        lines += [f"- {one}" for one in accepted]
        lines += ["", f"Of these {len(set(outcome.accepted))} were found in this audit.", ""]
    accepts = outcome.outcome == "approve" and outcome.accepted
    means = _ACCEPTS if accepts else _MEANS[outcome.outcome]
    lines += [means.format(bound=_BOUND.get(lease_class, "Runs")), ""]
    if outcome.outcome == "inconclusive":
        lines += [*(f"- {reason}" for reason in outcome.reasons), ""]
    lines += [f"**Next.** {_NEXT[outcome.outcome].format(verdict=head.get('verdict', ''))}", ""]
    lines += [*_found(outcome, events, replays or {}), ""]
    lines += _AUDITED
    lines += [f"- {name}: {value}" for name, value in head.items()]
    lines += ["", *_tried(events, outcome), "", *_planted(outcome), ""]
    lines += [*_headings(outcome), "", *_sure(outcome, events, history), ""]
    lines += [*_not_covered(outcome, events), "", *_noted(events)]
    lines += [*_audits(history), "", *_time(events), ""]
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
        f"{len(tried)} answers, in checks and programs together:",
        "",
        "| times | the answer | so |",
        "|---|---|---|",
    ]
    lines += [f"| {outcomes[kind]} | {answer} | {so} |" for kind, answer, so in _ANSWERS]
    lines += [
        "",
        "The checks. Most compare more than such answers: what is inside a lease, on the wire, in "
        "the database, in files, before and after. *Attempts* are what a check counts as a try of "
        "its own, *controls* how often what must work did work; without one a check says nothing.",
        "",
        "| check | what it does | channels | attempts | controls | seconds |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {event.check} | {event.about} | {', '.join(event.channels)} | {event.attempts} | "
        f"{event.controls} | {event.seconds:.1f} |"
        for event in events
        if isinstance(event, Checked)
    ]
    return lines


def _found(outcome: Outcome, events: Sequence[Event], replays: Mapping[str, str]) -> list[str]:
    """Tell the findings by what explains them, first what nothing does."""
    lines = ["## What was found", ""]
    if not outcome.findings:
        return [*lines, "Nothing."]
    found: dict[str, Finding] = {}
    for finding in outcome.findings:
        found.setdefault(finding.name, finding)  # several programs may meet the same
    again = sum(name in outcome.confirmed for name in found)
    lines += [
        f"{len(found)}, of which {again} were seen again on a virgin server: a fresh one, on which "
        "only what was found was tried again. "
        "A is the lease that attacks, B its neighbour. In quoted answers names, ids, times and "
        "tokens are replaced (TENANT, LEASE, ID, TIME, JWT, OPAQUE); what can be compared is left.",
        "",
    ]
    known = explanations(events)
    groups: dict[StockCrossing | None, list[Finding]] = {None: []}
    for finding in found.values():
        groups.setdefault(known.get(finding.name), []).append(finding)
    for stock, findings in groups.items():
        if findings:
            lines += [*_cause(stock), *_each(findings, outcome, replays)]
    return lines


def _cause(stock: StockCrossing | None) -> list[str]:
    if stock is None:
        return [
            "### Not known of the server",
            "",
            "The prover knows no explanation for these: a fault of the server, of its settings, or "
            "of ours.",
            "",
        ]
    return [
        f"### Known of {stock.seen_with}: {stock.title}",
        "",
        stock.what,
        "",
        f"- upstream: {stock.upstream}",
        f"- **avoided by** {stock.avoided_by}",
        "",
    ]


def _each(
    findings: Sequence[Finding], outcome: Outcome, replays: Mapping[str, str]
) -> Iterator[str]:
    for finding in findings:
        confirmed = finding.name in outcome.confirmed
        states = ["accepted by the reviewer"] if finding.name in outcome.accepted else []
        states.append("seen again on a virgin server" if confirmed else "seen once")
        states += [f"`{replays[finding.name]}`"] if finding.name in replays else []
        yield from (f"`{finding.name}`", "")
        yield from (f"{finding.detail} (check *{finding.check}*; {', '.join(states)})", "")
        if finding.trace:
            yield from (*(f"    {entry}" for entry in finding.trace), "")
        if finding.steps:
            yield from ("The program that shows it:", "")
            yield from (f"{n}. {step}" for n, step in enumerate(finding.steps, 1))
            yield ""


def _noted(events: Sequence[Event]) -> list[str]:
    noted = list(dict.fromkeys(event for event in events if isinstance(event, Noted)))
    if not noted:
        return []
    lines = [
        "## Noted, not judged",
        "",
        "What became of an artifact that its holder tried elsewhere (a holder who loses its own so "
        "harms nobody else), what a server remembers of its own, what was marked, and what a busy "
        "neighbour costs.",
        "",
        "| channel | what | |",
        "|---|---|---|",
    ]
    lines += [f"| {one.channel} | {one.subject} | {one.text} |" for one in noted]
    return [*lines, ""]


def _planted(outcome: Outcome) -> list[str]:
    lines = [
        "## Can it see? Faults planted in this audit",
        "",
        "A prover that finds nothing may be blind. Each of these faults was put into the scratch "
        "installation on purpose; a channel counts as covered only if one of its faults was seen.",
        "",
        f"{sum(bool(one.killed_by) for one in outcome.mutants)} of {len(outcome.mutants)} were "
        "seen. They are drawn from a longer list, hence the gaps in their numbers.",
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
        f"- **Random programs.** {outcome.programs} ran, {steps} steps in all, each drawn "
        f"independently of the others: {lives} with two leases of their own from their making to "
        "their end, the others with clients and users of their own in leases that some of them "
        f"share. {_excluded(programs, outcome)} It is no bound on sharing as a whole: it says "
        "nothing of programs that are drawn otherwise, nor of what only the checks above look at, "
        "which are no sample.",
        f"- **What is still new.** Of {new.observations} attempts in these programs {new.once} "
        "showed a behaviour (endpoint, verb, kind of credential, status) that no other one showed, "
        f"of {new.kinds} in all: the chance that one more would show a new one is about "
        f"{new.chance:.1%}.",
        f"- **False alarms.** {alarms} of {len(entries)} finished audits of this fingerprint and "
        "class found something that a virgin server did not show again. With 95 % confidence the "
        f"rate of such audits is at most {figures.at_most(alarms, len(entries)):.0%}; few audits "
        "say little.",
        "- **The planted faults are ours.** That they were seen says that the probes work, not "
        "that no other fault is there.",
    ]


def _excluded(programs: Sequence[Program], outcome: Outcome) -> str:
    if not programs:
        return "So no rate of crossings is excluded."
    crossed = sum(program.crossed for program in programs)
    if crossed:
        return f"In {crossed} of them something crossed, so no rate is excluded."
    return (
        "In none of them did anything cross. For programs drawn as these were that excludes, with "
        f"95 % confidence, a rate of crossings above {outcome.bound:.2%} (1 − 0.05^(1/n))."
    )


def _not_covered(outcome: Outcome, events: Sequence[Event]) -> list[str]:
    lines = ["## What was not covered", "", "No claim is made on these channels:", ""]
    lines += [
        f"- {channel} {CHANNELS[channel]}: {_why(channel, outcome, events)}"
        for channel in outcome.not_covered
    ]
    left = outcome.cells_known - outcome.cells_tried
    lines += [
        "",
        f"{left} of {outcome.cells_known} known cells were not tried: a lease of this template "
        "yields no such credential, or nothing in this audit came to it at that time. Those that "
        "were tried are in `trace.ndjson`.",
        "",
        *_untried(outcome),
    ]
    left_out = list(dict.fromkeys(event for event in events if isinstance(event, LeftOut)))
    if left_out:
        lines += ["Within channels that were looked at:", ""]
    return lines + [f"- {one.channel}, {one.what}: {one.why}" for one in left_out]


def _why(channel: str, outcome: Outcome, events: Sequence[Event]) -> str:
    """Return why no claim is made on the channel."""
    if not any(isinstance(event, Checked) and channel in event.channels for event in events):
        return "no check of this audit looked at it and came to its end"
    planted = [one for one in outcome.mutants if one.channel == channel]
    if not planted:
        return "looked at, but no fault of it can be planted, or none was drawn"
    if not any(one.killed_by for one in planted):
        return "looked at, but its planted fault was not seen"
    return "looked at, but no positive control passed"


def _untried(outcome: Outcome) -> list[str]:
    if not outcome.untried:
        return []
    times = list(dict.fromkeys(when for _, when in sorted(outcome.untried)))
    kinds = dict.fromkeys(kind for kind, _ in sorted(outcome.untried))
    lines = [f"| not tried: cells of | {' | '.join(times)} |", "|---|" + "---|" * len(times)]
    for kind in kinds:
        counts = (str(outcome.untried.get((kind, when), "-")) for when in times)
        lines.append(f"| {kind} | {' | '.join(counts)} |")
    return [*lines, ""]


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
        f"{one['outcome']} | {_in_short(one['findings'])} |"
        for n, one in enumerate(history, 1)
    ]


def _in_short(names: Sequence[str]) -> str:
    channels = dict.fromkeys(name.partition(":")[0] for name in names)
    return f"{len(names)} in {', '.join(channels)}" if names else "-"


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
