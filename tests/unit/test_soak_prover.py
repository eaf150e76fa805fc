"""The soak of the prover: its state can be continued, its table holds what was measured alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.prover.results import State, spent, table, whole
from warminfra.core.errors import Conflict


def planting(mutant: str, killed_by: str, attempts: int) -> dict[str, Any]:
    return {
        **{"mutant": mutant, "title": "a fault", "channel": "X1", "killed_by": killed_by},
        **{"form": "plain", "attempts": attempts, "rounds": 1, "seconds": 2.0, "witness": "w"},
    }


def of_seed(*planted: dict[str, Any]) -> dict[str, Any]:
    rehearsed = [{"spoiled": "P1", "title": "half blind", "outcome": "inconclusive"}]
    return {"planted": list(planted), "absent": [], "rehearsed": rehearsed, "seconds": 100.0}


def test_a_stopped_soak_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was finished is read again."""
    state = State.read(tmp_path / "state")
    state.self_tests["1"] = of_seed(planting("M10", "keys", 3))
    state.write()
    again = State.read(tmp_path / "state")
    assert again.self_tests == state.self_tests
    assert State.read(tmp_path / "state", fresh=True).self_tests == {}


def test_results_of_other_code_are_not_continued(tmp_path: Path) -> None:
    """Numbers of two different provers never stand in one table."""
    file = tmp_path / "state"
    State.read(file).write()
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "code": "other"}))
    with pytest.raises(Conflict, match="other code"):
        State.read(file)


def test_the_table_has_medians_and_names_what_was_not_seen(tmp_path: Path) -> None:
    """Over the seeds that saw a fault; one that was missed once is no whole soak."""
    state = State(tmp_path / "state", "code")
    state.self_tests = {
        "1": of_seed(planting("M10", "keys", 3), planting("M22", "inventory", 1)),
        "2": of_seed(planting("M10", "keys", 5), planting("M22", "", 9)),
        "3": of_seed(planting("M10", "keys", 40), planting("M22", "", 9)),
    }
    told = table(state)
    assert "| M10 a fault | plain | X1 | 3 of 3 | keys | 5 | 1 | 2.0 |" in told
    assert "| M22 a fault | plain | X1 | 1 of 3 | inventory | 1 | 1 | 2.0 |" in told
    assert "| P1 half blind | inconclusive, inconclusive, inconclusive |" in told
    assert not whole(state)


def test_an_audit_that_does_not_approve_is_an_alarm(tmp_path: Path) -> None:
    """With its seed and what it said."""
    state = State(tmp_path / "state", "code")
    fine = {"seed": 1, "outcome": "approve", "findings": [], "reasons": [], "seconds": 60.0}
    fine["spent"] = {"parts": {}, "steps": {}, "programs": 0}
    state.audits = {"smoke user": [fine] * 19}
    assert whole(state)
    state.audits["smoke user"].append(
        {**fine, "seed": 20, "outcome": "inconclusive", "reasons": ["a check broke"]}
    )
    assert not whole(state)
    assert "1 of 20" in table(state)
    assert "- seed 20: inconclusive: a check broke" in table(state)


def test_the_time_of_an_audit_is_told_by_part_and_step(tmp_path: Path) -> None:
    """From the trace: checks, planted faults, programs and their steps; the rest is the rest."""
    events = [
        {"event": "Checked", "check": "keys", "seconds": 4.0},
        {"event": "Planted", "seconds": 6.0},
        {"event": "Program", "seconds": 2.0, "spent": {"lease": 1.5, "attack": 0.5}},
        {"event": "Program", "seconds": 2.0, "spent": {"lease": 1.5, "attack": 0.5}},
        {"event": "Tried", "cell": "token"},
    ]
    trace = tmp_path / "trace.ndjson"
    trace.write_text("".join(json.dumps(event) + "\n" for event in events))
    audit = {"seed": 1, "outcome": "approve", "findings": [], "reasons": [], "seconds": 20.0}
    state = State(tmp_path / "state", "code")
    state.audits = {"smoke user": [{**audit, "spent": spent(trace)}]}
    told = table(state)
    assert "| planted faults | 6.0 | 30% |" in told
    assert "| check: keys | 4.0 | 20% |" in told
    assert "| the rest: servers that start and end, the search | 6.0 | 30% |" in told
    assert "0.50 programs per second. By kind of step: lease 75%, attack 25%." in told
