"""`approve` needs everything; `revert` needs certainty; all else is inconclusive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from isolation_checks.bundle import require_new, verify, write
from isolation_checks.events import (
    Checked,
    Event,
    Explained,
    Finding,
    LeftOut,
    Noted,
    Planted,
    Program,
    Tried,
    Trouble,
)
from isolation_checks.reports.junit import junit
from isolation_checks.reports.markdown import report
from isolation_checks.sampler import bound
from isolation_checks.verdict import Outcome, judge
from warminfra.core.audit import StockCrossing
from warminfra.core.errors import NotFound, Usage

CHECKED = Checked("keys", ("X4",), attempts=6, controls=6, seconds=1.0)
SEEN = Planted("M10", "one key", "X4", "keys", "shared key", 1.0)
CROSSED = Finding("X1", "foreign credentials", "access token at GET userinfo of B", "it works")


KNOWN = StockCrossing(
    "A server 1.0",
    (CROSSED.name,),
    ("admin",),
    "tokens work elsewhere",
    "The server forgets.",
    "issue 1",
    "a setting",
)


def program(number: int, *, crossed: bool = False) -> Program:
    return Program(number, number, ("a step",), crossed)


CLEAN: tuple[Event, ...] = (
    Tried(0, "access token at GET userinfo", "B", "refused", "401"),
    CHECKED,
    SEEN,
    program(1),
    program(2),
)


def end(*events: Event, confirmed: str = "", accepted: str = "", planned: int = 2) -> Outcome:
    return judge(
        events,
        planned=planned,
        confirmed=frozenset(filter(None, [confirmed])),
        accepted=frozenset(filter(None, [accepted])),
    )


def test_a_clean_audit_approves_and_says_what_it_did_not_cover() -> None:
    """Nothing crossed, controls passed, faults were seen, the programs ran."""
    outcome = end(*CLEAN)
    assert outcome.outcome == "approve"
    assert outcome.covered == ("X4",)
    assert "X1" in outcome.not_covered
    assert outcome.bound == pytest.approx(1 - 0.05**0.5)


@pytest.mark.parametrize(
    "events",
    [
        (*CLEAN, Trouble("check museum", "the server went away")),
        (*CLEAN, replace(SEEN, mutant="M11", killed_by="")),
        (*CLEAN, replace(CHECKED, check="blind", controls=0)),
        CLEAN[:-1],
        (SEEN, program(1), program(2)),
        (CHECKED, program(1), program(2)),
        (*CLEAN, CROSSED),
        (),
    ],
    ids=[
        "trouble", "fault not seen", "no control", "a program less", "no check", "no fault planted",
        "crossed but not confirmed", "nothing happened",
    ],
)  # fmt: skip
def test_anything_that_lacks_is_inconclusive(events: tuple[Event, ...]) -> None:
    """A crash, a blind probe, a plan not carried out: never a pass, and the reason is told."""
    outcome = end(*events)
    assert outcome.outcome == "inconclusive"
    assert outcome.reasons


def test_a_confirmed_crossing_reverts() -> None:
    """What was seen again on a virgin server ends sharing, whatever else went wrong."""
    trouble = Trouble("check museum", "it broke")
    assert end(*CLEAN, trouble, CROSSED, confirmed=CROSSED.name).outcome == "revert"


def test_a_finding_is_accepted_by_its_name_alone() -> None:
    """An accepted finding opens nothing but itself, and is told."""
    outcome = end(*CLEAN, CROSSED, confirmed=CROSSED.name, accepted=CROSSED.name)
    assert (outcome.outcome, outcome.accepted) == ("approve", (CROSSED.name,))
    other = replace(CROSSED, witness="refresh token at POST token of B")
    assert end(*CLEAN, CROSSED, other, confirmed=other.name, accepted=CROSSED.name).outcome == (
        "revert"
    )


def test_the_bound_is_that_of_the_rule_of_three() -> None:
    """1 − 0.05^(1/n): 20 → 14 %, 100 → 2.95 %, 300 → 0.99 %; no program, no bound."""
    assert [round(bound(n), 4) for n in (20, 100, 300)] == [0.1391, 0.0295, 0.0099]
    assert bound(0) == 1.0


def test_a_program_that_crossed_leaves_no_bound() -> None:
    """With a violation among the programs nothing is excluded."""
    assert end(*CLEAN[:-1], program(2, crossed=True)).bound == 1.0


def test_evidence_is_whole_and_says_what_was_changed(tmp_path: Path) -> None:
    """Each file is listed with its digest; changed, missing and foreign files are named."""
    write(tmp_path, {"id": "v-1"}, {"verdict": "v-1"}, CLEAN, end(*CLEAN), {"realm": ["a"]})
    assert verify(tmp_path) == []
    (tmp_path / "trace.ndjson").write_text("")
    (tmp_path / "junit.xml").unlink()
    (tmp_path / "more.txt").write_text("x")
    assert sorted(verify(tmp_path)) == [
        "junit.xml is missing",
        "more.txt does not belong to it",
        "trace.ndjson was changed",
    ]


def test_a_folder_without_evidence_is_not_found(tmp_path: Path) -> None:
    """There is nothing to verify, and the line says so."""
    with pytest.raises(NotFound, match="SHA256SUMS"):
        verify(tmp_path)


def test_junit_has_a_failure_for_what_crossed_and_an_error_for_what_is_unknown() -> None:
    """Violated is a failure, unknown an error; a trouble that is the reason too is told once."""
    events = (*CLEAN, CROSSED, Trouble("check museum", "it broke"))
    text = junit(events, end(*events))
    assert 'failures="1"' in text
    assert text.count("it broke") == 1
    assert "was not seen again on a virgin server" in text
    assert 'errors="2"' in text


def test_junit_is_green_for_an_approve_alone() -> None:
    """What lacks is an error though nothing broke; what the reviewer accepted fails nothing."""
    lacking = CLEAN[:-1]
    assert 'errors="1"' in junit(lacking, end(*lacking))
    accepted = end(*CLEAN, CROSSED, confirmed=CROSSED.name, accepted=CROSSED.name)
    text = junit((*CLEAN, CROSSED), accepted)
    assert 'failures="0" errors="0" skipped="1"' in text


def test_an_approve_beside_an_accepted_finding_does_not_say_that_nothing_crossed() -> None:
    """The first sentence of the report must hold."""
    accepted = end(*CLEAN, CROSSED, confirmed=CROSSED.name, accepted=CROSSED.name)
    told = report({}, (*CLEAN, CROSSED), accepted)
    assert "Nothing crossed" not in told
    assert "the reviewer has accepted by name. Nothing else did" in told
    assert "Nothing crossed" in report({}, CLEAN, end(*CLEAN))


def test_a_finding_that_is_known_of_the_server_is_told_with_what_avoids_it() -> None:
    """By cause, what nobody has explained first; each with its replay; the next step on top."""
    new = replace(CROSSED, witness="refresh token at POST token of B")
    events = (*CLEAN, CROSSED, new, Explained(CROSSED.name, KNOWN))
    outcome = end(*events, confirmed=CROSSED.name)
    told = report({}, events, outcome, replays={CROSSED.name: "replay-1.py"})
    unknown, known = told.index("### Not known"), told.index("tokens work elsewhere")
    assert unknown < told.index(f"`{new.name}`") < known < told.index(f"`{CROSSED.name}`")
    for part in ("issue 1", "**avoided by** a setting", "`replay-1.py`", "**Next.**"):
        assert part in told
    assert "avoided by: a setting" in junit(events, outcome)


def test_what_was_not_looked_at_is_told_in_one_place_with_the_reason() -> None:
    """Channels, cells by kind and time, and what a check had to leave out; each once."""
    left_out = LeftOut("X4", "a key", "it has none")
    events = (*CLEAN, left_out, left_out, Noted("X4", "a figure", "1 ms"))
    cell = "code at POST token"
    known = frozenset({(cell, "B", "alive"), ("access token at GET userinfo", "B", "alive")})
    outcome = judge(events, planned=2, confirmed=frozenset(), accepted=frozenset(), known=known)
    told = report({}, events, outcome)
    part = told.partition("## What was not covered")[2].partition("\n## ")[0]
    assert "1 of 2 known cells were not tried" in part
    assert "| code | 1 |" in part
    assert part.count("a key: it has none") == told.count("it has none") == 1
    assert "a figure" not in part
    assert "X15 shared directory: no check of this audit looked at it and came to its end" in part


def test_a_program_that_crossed_takes_the_bound_out_of_the_report() -> None:
    """No rate is told to be excluded by programs of which one did cross."""
    events = (*CLEAN[:-1], program(2, crossed=True))
    assert "no rate is excluded" in report({}, events, end(*events))
    assert "above 77.64%" in report({}, CLEAN, end(*CLEAN))


def test_evidence_goes_into_a_folder_of_its_own(tmp_path: Path) -> None:
    """What lies there already is another audit's, or somebody's."""
    require_new(None)
    require_new(tmp_path / "new")
    require_new(tmp_path)
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(Usage, match="is not empty"):
        require_new(tmp_path)
