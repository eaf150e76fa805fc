"""Whatever goes wrong, an audit ends inconclusive and says why: never with a pass."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from isolation_checks import engine
from isolation_checks.checks.base import Check
from isolation_checks.checks.senses import Senses
from isolation_checks.engine import Audit
from isolation_checks.events import Checked, Event, Explained, Finding, Trouble
from isolation_checks.plan import Profile
from isolation_checks.verdict import Outcome
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch
from warminfra.cli import prove as command
from warminfra.cli.prove import Order
from warminfra.core.audit import Cell, Credential, Reply, StockCrossing
from warminfra.core.errors import NoCapacity, OutcomeUnknown, Unreachable

SMALL = Profile("smoke", 2, 1, 0, 0, 0, mutants_a_channel=1, effort=1, searched=0)


class Server(FakeScratch):
    """A fake that can be described, as the engine does first."""

    template = SimpleNamespace(features=frozenset(), lease_class="user")
    launcher = SimpleNamespace(fingerprint=dict)


def audited(
    monkeypatch: pytest.MonkeyPatch,
    server: Any,
    *,
    live: str = "",
    checks: Sequence[Check] = (Senses(),),
    profile: Profile = SMALL,
    package: Any = None,
) -> tuple[Outcome, list[Event]]:
    """Run the engine with `server` for its scratch installation, with what that raises, or with
    a maker of them."""

    @contextmanager
    def scratch(*_: Any) -> Iterator[Any]:
        if isinstance(server, Exception):
            raise server
        yield server

    monkeypatch.setattr(engine, "scratch", server if callable(server) else scratch)
    monkeypatch.setattr(engine, "CHECKS", checks)
    monkeypatch.setattr(engine, "MUTANTS", ())
    told: list[Event] = []
    reach = SimpleNamespace(mode="host")
    settings = cast(Any, SimpleNamespace(sharing=SimpleNamespace(), reach=reach))
    monkeypatch.setattr(
        engine, "Fingerprint", lambda *_: SimpleNamespace(digest=lambda: "f" * 64, parts=dict)
    )
    audit = Audit(settings, package, Path("/recipe"), profile, 1, told.append)
    audit.live_fingerprint = lambda: live
    return audit.run(), told


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unreachable("the scratch server did not start"), "did not start"),
        (NoCapacity("300 MiB of memory are available"), "300 MiB of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left"),
        (RuntimeError("a bug"), "RuntimeError: a bug"),
    ],
    ids=["no server", "no memory", "full disk", "a bug of ours"],
)
def test_an_audit_that_cannot_begin_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """The reason is told as it came."""
    outcome, _ = audited(monkeypatch, error)
    assert outcome.outcome == "inconclusive"
    assert any(reason in one for one in outcome.reasons)


def test_a_channel_is_looked_at_in_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of the profile's channels run, and those of the prover itself; of others none."""

    @dataclass
    class Look:
        name: str
        channels: tuple[str, ...]

        def run(self, world: World) -> None:
            world.controls += 1

    looks = Look("own senses", ()), Look("of one", ("X4", "X6")), Look("of another", ("X9",))
    profile = replace(SMALL, channels=frozenset({"X4"}))
    outcome, told = audited(monkeypatch, Server(), checks=looks, profile=profile)
    checked = [(one.check, one.channels) for one in told if isinstance(one, Checked)]
    assert checked == [("own senses", ()), ("of one", ("X4",))]
    assert not any("did not come to its end" in reason for reason in outcome.reasons)


@dataclass
class Leaks:
    """A check that always finds the same."""

    name: str = "leaks"
    channels: tuple[str, ...] = ("X4",)

    def run(self, world: World) -> None:
        world.controls += 1
        world.report(Finding("X4", self.name, "one key", "it is the same"))


@pytest.mark.parametrize(
    ("features", "names"),
    [({"admin"}, ("X4:one key",)), ({"brokers"}, ("X4:one key",)), ({"admin"}, ("X4:two keys",))],
    ids=["known", "not with this template", "of another name"],
)
def test_what_the_server_is_known_for_is_explained_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, features: set[str], names: tuple[str, ...]
) -> None:
    """By its exact name, where the template has what it takes; a provider may know nothing."""
    stock = StockCrossing("A server 1.0", names, ("admin",), "keys", "why", "none", "a setting")
    server = Server()
    server.template = SimpleNamespace(features=frozenset(features), lease_class="user")
    package = SimpleNamespace(stock_crossings=lambda: (stock,))
    outcome, told = audited(monkeypatch, server, checks=(Leaks(),), package=package)
    explained = [event for event in told if isinstance(event, Explained)]
    known = features == {"admin"} and names == ("X4:one key",)
    assert explained == ([Explained("X4:one key", stock)] if known else [])
    assert outcome.outcome == "revert"
    _, told = audited(monkeypatch, Server(), checks=(Leaks(),), package=SimpleNamespace())
    assert not any(isinstance(event, Explained | Trouble) for event in told)


@pytest.mark.parametrize(
    "error",
    [Unreachable("it does not answer"), OutcomeUnknown("no answer (ReadTimeout)")],
    ids=["the provider goes away", "a server slower than expected"],
)
def test_trouble_in_the_middle_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """From the hundredth attempt on nothing answers in time."""

    class Fails(Server):
        attempts = 0

        def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
            self.attempts += 1
            if self.attempts > 20:
                raise error
            return super().attempt(cell, credential, target)

    outcome, _ = audited(monkeypatch, Fails())
    assert outcome.outcome == "inconclusive"
    assert any(str(error) in one for one in outcome.reasons)


def test_a_live_installation_of_another_state_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is audited must be what runs."""
    outcome, _ = audited(monkeypatch, Server(), live="0" * 64)
    assert any("restart the service" in reason for reason in outcome.reasons)
    same, _ = audited(monkeypatch, Server(), live="f" * 64)
    assert not any("restart the service" in reason for reason in same.reasons)


class Seen:
    """A check that always finds the same."""

    name = "seen"
    channels = ("X1",)

    def run(self, world: World) -> None:
        world.report(Finding("X1", self.name, "it", "it is always there"))


@pytest.mark.parametrize(
    ("failing", "outcome"),
    [({2}, "revert"), ({2, 3}, "revert"), ({2, 3, 4}, "inconclusive")],
    ids=["a block's server", "and the first virgin one", "and the second"],
)
def test_what_was_found_is_tried_again_whatever_broke_later(
    monkeypatch: pytest.MonkeyPatch, failing: set[int], outcome: str
) -> None:
    """A server that cannot be had takes nothing back; what nobody could try is told as that."""
    begun: list[int] = []

    @contextmanager
    def scratch(*_: Any) -> Iterator[Any]:
        begun.append(len(begun) + 1)
        if begun[-1] in failing:
            raise NoCapacity("300 MiB of memory are available")
        yield Server()

    profile = replace(SMALL, blocks=2)
    ended, _ = audited(monkeypatch, scratch, checks=(Seen(),), profile=profile)
    assert ended.outcome == outcome
    assert ended.tried_again is (outcome == "revert")
    doubts = [reason for reason in ended.reasons if "virgin" in reason]
    untried = "X1:it could not be tried again on a virgin server"
    assert doubts == ([] if outcome == "revert" else [untried])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What the command records, of audits of which nothing runs."""
    found: list[Any] = []
    monkeypatch.setattr(command, "_record", found.append)
    monkeypatch.setattr(command, "quiet_log", lambda: None)
    monkeypatch.setattr(command, "recipe_of", lambda order: tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("WARMINFRA_SERVICE__STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "file").write_text("in the way")
    return found


def test_evidence_that_cannot_be_written_is_no_evidence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recorded: list[Any]
) -> None:
    """A full disk at the end: inconclusive, and nothing is recorded."""
    monkeypatch.setattr(Audit, "run", _ends("approve"))
    order = Order("smoke", "user", "", tmp_path / "file" / "evidence", 1)
    outcome, document = command.prove(order)
    assert (outcome, document["outcome"]) == ("inconclusive", "inconclusive")
    assert "cannot write the evidence" in document["reasons"][0]
    assert recorded == []


def test_a_revert_shuts_the_gate_whatever_becomes_of_its_evidence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recorded: list[Any]
) -> None:
    """What crossed has crossed: a full disk must not leave sharing open."""
    monkeypatch.setattr(Audit, "run", _ends("revert"))
    order = Order("smoke", "user", "", tmp_path / "file" / "evidence", 1)
    outcome, document = command.prove(order)
    assert (outcome, document["outcome"]) == ("revert", "revert")
    assert [one["outcome"] for one in recorded] == ["revert"]


@pytest.mark.parametrize(("ended", "kept"), [("approve", []), ("revert", ["revert"])])
def test_an_audit_for_comparison_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, recorded: list[Any], ended: str, kept: list[str]
) -> None:
    """Of one drawn fault it covers one channel: its approve is not the profile's."""
    monkeypatch.setattr(Audit, "run", _ends(ended))
    outcome, _ = command.prove(Order("standard", "user", "", None, 1, mutants=1))
    assert outcome == ended
    assert [one["outcome"] for one in recorded] == kept


def _ends(outcome: str) -> Any:
    return lambda audit: Outcome(outcome, (), (), (), (), ("X4",), (), 12, 0.2, 10, 10)
