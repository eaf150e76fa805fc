"""What was found is cut down, shown again, and written so that anybody can run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from isolation_checks.confirm import confirm
from isolation_checks.counterexample import files, read, replay
from isolation_checks.events import Finding
from isolation_checks.sampler import run_life
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch
from tests.unit.test_audit_programs import at_a_living_neighbour
from warminfra.cli.verify import agreement
from warminfra.core.errors import Usage

VERDICT = {
    "id": "v-1", "outcome": "revert", "fingerprint": "f", "fingerprint_parts": {"code": "a"},
    "lease_class": "user", "seed": 3, "findings": ["X1:a"], "covered": ["X1", "X4"],
}  # fmt: skip


def found_by_programs() -> list[Finding]:
    world = World(FakeScratch(at_a_living_neighbour).as_scratch(), lambda _: None)
    for number in range(1, 8):
        run_life(world, number, seed=number)
    return [one for one in world.found if one.witness.endswith("of B")]


def test_a_counterexample_is_shorter_than_the_program_and_shows_it_again() -> None:
    """Leases, what they minted, their ends, and one try: nothing else is left."""
    found = found_by_programs()
    assert found
    examples = confirm(FakeScratch(at_a_living_neighbour).as_scratch(), found, (), _no_trouble)
    assert {example.finding.name for example in examples} == {one.name for one in found}
    assert all([step.do for step in one.steps].count("try") == 1 for one in examples)
    lengths = [(len(one.steps), len(one.finding.steps)) for one in examples]
    assert all(cut <= whole for cut, whole in lengths)
    assert any(cut < whole for cut, whole in lengths)


def test_what_a_virgin_server_does_not_show_is_not_confirmed() -> None:
    """A finding of dirt, not of the system, gets no counterexample."""
    assert confirm(FakeScratch().as_scratch(), found_by_programs(), (), _no_trouble) == []


def test_a_finding_of_a_check_is_confirmed_by_that_check() -> None:
    """Where no steps tell it, the check runs again; one that breaks then is trouble."""

    class Sees:
        name, channels = "sees", ("X4",)

        def run(self, world: World) -> None:
            world.report(Finding("X4", "sees", "shared secret", "two leases share it"))

    class Breaks(Sees):
        def run(self, world: World) -> None:
            raise ConnectionError("gone")

    finding = Finding("X4", "sees", "shared secret", "two leases share it")
    fake, troubles = FakeScratch().as_scratch(), list[str]()
    assert [one.finding for one in confirm(fake, [finding], [Sees()], _no_trouble)] == [finding]
    assert confirm(fake, [finding], [Breaks()], lambda where, _: troubles.append(where)) == []
    assert troubles == ["confirmation by sees"]


def test_the_files_are_read_back_and_replayed(tmp_path: Path) -> None:
    """The script names its file; the file shows the crossing on a leaky server and not on a sound
    one."""
    leaky = FakeScratch(at_a_living_neighbour).as_scratch()
    examples = confirm(leaky, found_by_programs()[:1], (), _no_trouble)
    for name, text in files(examples, VERDICT, tmp_path).items():
        (tmp_path / name).write_text(text)
    assert "counterexample-1.json" in (tmp_path / "replay-1.py").read_text()
    compile((tmp_path / "replay-1.py").read_text(), "replay-1.py", "exec")
    document = read(tmp_path / "counterexample-1.json")
    assert document["lease_class"] == "user"
    assert replay(leaky, document, ()) is not None
    assert replay(FakeScratch().as_scratch(), document, ()) is None


@pytest.mark.parametrize("change", [{"schema": "other/v1"}, {"steps": [{"do": "dance"}]}])
def test_a_file_of_another_version_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """Half a replay would be no answer."""
    file = tmp_path / "counterexample-1.json"
    whole = {"schema": "warminfra.counterexample/v1", "steps": [], "finding": "X1:a"}
    file.write_text(json.dumps({**whole, **change}))
    with pytest.raises(Usage):
        read(file)


def test_an_agreement_says_what_only_one_of_two_audits_found() -> None:
    """Outcome, fingerprint part by part, findings and channels of both."""
    ours = {
        **VERDICT, "outcome": "approve", "fingerprint": "g", "fingerprint_parts": {"code": "b"},
        "findings": [], "covered": ["X4"],
    }  # fmt: skip
    assert agreement(VERDICT, ours) == [
        "outcome: revert then, approve now",
        "fingerprint: another",
        "  changed: code",
        "findings: 0 in both",
        "  only then: X1:a",
        "covered: 1 in both",
        "  only then: X1",
    ]


def _no_trouble(where: str, error: Exception) -> None:
    raise AssertionError(where) from error
