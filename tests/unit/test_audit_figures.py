"""The numbers of a report, and the list of all audits that were begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from isolation_checks import figures, history
from isolation_checks.events import Event, Program, Tried


def tried(cell: str, status: int, program: int = 1, target: str = "B") -> Tried:
    return Tried(program, cell, target, "refused", "", "alive", status)


def test_f1_counts_behaviours_that_programs_saw_once() -> None:
    """Of five observations one behaviour was seen once; controls and the matrix do not count."""
    events: list[Event] = [
        tried("a", 401), tried("a", 401), tried("a", 403), tried("b", 401), tried("b", 401),
        tried("c", 200, target="owner"), tried("d", 401, program=0),
    ]  # fmt: skip
    new = figures.novelty(events)
    assert (new.observations, new.kinds, new.once) == (5, 3, 1)
    assert new.chance == pytest.approx(0.2)
    assert figures.novelty([]).chance == 1.0


@pytest.mark.parametrize(
    ("hits", "tries", "bound"),
    [(0, 1, 0.95), (0, 20, 0.1391), (1, 20, 0.2161), (0, 0, 1.0), (3, 3, 1.0), (20, 20, 1.0)],
)
def test_the_bound_on_false_alarms_is_exact(hits: int, tries: int, bound: float) -> None:
    """Clopper–Pearson, one-sided: nothing of 20 leaves 13.9 %; nothing tried leaves everything."""
    assert figures.at_most(hits, tries) == pytest.approx(bound, abs=1e-4)


def test_time_is_told_by_kind_of_step() -> None:
    """Most first, over all programs; the pace is programs by the seconds that they took."""
    events = [
        Program(1, 1, ("s",), False, seconds=2.0, spent={"try": 0.5, "lease": 1.5}),
        Program(2, 2, ("s",), False, seconds=2.0, spent={"try": 0.5}),
    ]
    assert figures.pace(events) == pytest.approx(0.5)
    assert list(figures.spent(events).items()) == [("lease", 1.5), ("try", 1.0)]


def entry(
    name: str, outcome: str, fingerprint: str = "f", at: str = "00:00", **more: list[str]
) -> history.Entry:
    return {
        "id": name, "created_at": f"2026-01-01T{at}:00Z", "fingerprint": fingerprint,
        "lease_class": "user", "profile": "smoke", "outcome": outcome, "findings": [],
        "confirmed": [], **more,
    }  # fmt: skip


def test_an_audit_that_was_begun_is_listed_whatever_became_of_it(tmp_path: Path) -> None:
    """A killed audit stays unfinished; each is told by its begin; no other fingerprint's is."""
    for line in (
        entry("v1", history.UNFINISHED),
        entry("v2", history.UNFINISHED),
        entry("v2", "inconclusive", at="00:04", findings=["X1:a"]),
        entry("v3", "approve", fingerprint="other"),
    ):
        history.note(tmp_path, line)
    with (tmp_path / history.FILE).open("a") as out:
        out.write('{"id": "v4", "outc')
    found = history.of(tmp_path, "f", "user")
    assert [(one["id"], one["outcome"], one["created_at"]) for one in found] == [
        ("v1", "unfinished", "2026-01-01T00:00:00Z"),
        ("v2", "inconclusive", "2026-01-01T00:00:00Z"),
    ]
    assert [one["id"] for one in history.finished(found)] == ["v2"]
    assert history.false_alarms(found) == 1
    history.note(tmp_path, entry("v5", history.UNFINISHED) | {"tried_again": False})
    assert [one["id"] for one in history.of(tmp_path, "f", "user")] == ["v1", "v2", "v5"]
    untried = entry("v6", "inconclusive", findings=["X1:a"]) | {"tried_again": False}
    assert history.false_alarms([*found, untried]) == 1, "nobody could try it again"
    assert (tmp_path / history.FILE).stat().st_mode & 0o777 == 0o600
