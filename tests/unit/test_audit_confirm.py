"""What was found is cut down, shown again, and written so that anybody can run it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isolation_checks import counterexample
from isolation_checks.bundle import write
from isolation_checks.confirm import confirm
from isolation_checks.counterexample import files, read, replay
from isolation_checks.events import Finding
from isolation_checks.sampler import run_life
from isolation_checks.steps import of_one_try
from isolation_checks.verdict import judge
from isolation_checks.world import World, witness
from tests.fake_scratch import READ, FakeScratch
from tests.unit.test_audit_programs import at_a_living_neighbour
from warminfra.cli import verify as command
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


def changes_b(fake: FakeScratch, credential: Any, place: str) -> bool:
    """Whatever is tried at a lease that lives changes what is inside it, and is refused."""
    if place in fake.living and place != credential.tenant:
        fake.changes[place] = fake.changes.get(place, 0) + 1
    return False


def test_a_change_of_b_is_shown_again() -> None:
    """A leak by side effect alone, without a word in any answer, is confirmed like the others."""
    world = World(FakeScratch(changes_b).as_scratch(), lambda _: None)
    for number in range(1, 8):
        run_life(world, number, seed=number)
    (changed,) = [one for one in world.found if one.witness == "B changed"]
    (example,) = confirm(FakeScratch(changes_b).as_scratch(), [changed], (), _no_trouble)
    assert len(example.steps) < len(changed.steps)
    assert confirm(FakeScratch().as_scratch(), [changed], (), _no_trouble) == []


def test_a_change_of_a_bystander_is_found_before_a_kill_and_shown_again() -> None:
    """It is looked at after each program and before each kill, and told with its program."""

    def changes_others(fake: FakeScratch, credential: Any, place: str) -> bool:
        for name in fake.living - {place, credential.tenant}:
            fake.changes[name] = fake.changes.get(name, 0) + 1
        return False

    fake = FakeScratch(changes_others)
    world = World(fake.as_scratch(), lambda _: None)
    world.bystander()
    run_life(world, 1, seed=1, strikes=("slow",))
    world.look_again()
    (changed,) = [one for one in world.found if one.witness == "a bystander changed"]
    assert changed.steps
    virgin = FakeScratch(changes_others)
    assert confirm(virgin.as_scratch(), [changed], (), _no_trouble)
    assert virgin.living == set()
    assert confirm(FakeScratch().as_scratch(), [changed], (), _no_trouble) == []


def test_a_check_that_counts_is_confirmed_over_as_many_lives() -> None:
    """One leftover in ten is seen over thirty lives, and would be lost over three."""
    drawn = []

    class Counts:
        name, channels = "counts", ("X6",)

        def run(self, world: World) -> None:
            drawn.append((world.seed, world.effort, world.cycles, world.check))

    finding = Finding("X6", "counts", "left behind", "one in ten")
    fake = FakeScratch().as_scratch()
    confirm(fake, [finding], [Counts()], _no_trouble, seed=5, effort=8, cycles=30)
    document = {
        "steps": [], "check": "counts", "finding": finding.name, "witness": finding.witness,
        "seed": 5, "effort": 8, "cycles": 30,
    }  # fmt: skip
    replay(fake, document, [Counts()])
    assert drawn == [(5, 8, 30, "counts")] * 2


def test_steps_that_do_not_show_it_are_not_in_the_counterexample() -> None:
    """A check may tell a finding in steps that nobody has run: then the check is what shows it."""

    class Sees:
        name, channels = "sees", ("X1",)

        def run(self, world: World) -> None:
            world.report(finding)

    steps = of_one_try(READ, "B", "alive")
    finding = Finding("X1", "sees", witness(READ, "B"), "it works there", steps=steps)
    (by_check,) = confirm(FakeScratch().as_scratch(), [finding], [Sees()], _no_trouble)
    assert by_check.steps == ()
    leaky = FakeScratch(at_a_living_neighbour).as_scratch()
    (by_steps,) = confirm(leaky, [finding], [Sees()], _no_trouble)
    assert by_steps.steps == steps


def test_what_breaks_after_it_has_crossed_takes_nothing_back() -> None:
    """As at the confirmation; what breaks before is no answer."""

    class Breaks:
        name = "breaks"
        channels = ("X1",)

        def run(self, world: World) -> None:
            world.report(Finding("X1", self.name, "it", "it is there"))
            raise AssertionError("a twin is worth nothing even at its owner")

    document = {"finding": "X1:it", "witness": "it", "check": "breaks", "steps": []}
    assert replay(FakeScratch().as_scratch(), document, [Breaks()]) is not None
    with pytest.raises(AssertionError):
        replay(FakeScratch().as_scratch(), document | {"finding": "X1:other"}, [Breaks()])


def test_a_replay_that_breaks_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, whatever went wrong; that of a crossing is none of Python's own."""
    monkeypatch.setattr("sys.argv", ["replay-1.py"])
    (tmp_path / "counterexample-1.json").write_text('{"steps": 3}')
    with pytest.raises(SystemExit) as ended:
        counterexample.main(tmp_path / "counterexample-1.json")
    assert ended.value.code == counterexample.UNKNOWN == 3
    assert "could not be tried" in capsys.readouterr().err
    monkeypatch.setattr(counterexample, "_main", lambda *_: 1 // 0)
    with pytest.raises(SystemExit) as ended:
        counterexample.main(tmp_path / "counterexample-1.json")
    assert ended.value.code == counterexample.UNKNOWN
    assert counterexample.CROSSES not in (0, 1, 2)


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


def test_verify_goes_on_after_a_counterexample_that_could_not_be_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What broke is told and does not hold; the next one is replayed all the same."""

    class Breaks:
        name, channels = "breaks", ("X1",)

        def run(self, world: World) -> None:
            raise ConnectionError("gone")

    broken = counterexample.Counterexample(Finding("X1", "breaks", "it", "it was there"), (), ())
    leaky = FakeScratch(at_a_living_neighbour)
    good = confirm(leaky.as_scratch(), found_by_programs()[:1], (), _no_trouble)
    examples = files([broken, *good], VERDICT, tmp_path)
    outcome = judge([], planned=0, confirmed=frozenset(), accepted=frozenset())
    write(tmp_path / "evidence", VERDICT, {}, [], outcome, {}, examples=examples)
    monkeypatch.setattr(command, "scratch", lambda *_: nullcontext(leaky))
    monkeypatch.setattr(command.session, "loaded", lambda: SimpleNamespace(settings=None))
    monkeypatch.setattr(command, "CHECKS", (Breaks(),))
    holds = command.verified(tmp_path / "evidence", recipe="", rerun=None, report=None)
    assert not holds
    assert capsys.readouterr().out.splitlines()[1:] == [
        "counterexample-1.json: X1:it COULD NOT BE TRIED: ConnectionError: gone",
        f"counterexample-2.json: {good[0].finding.name} crosses again",
    ]


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
