"""An audit that ends while no service runs is not lost: the next service records it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.stateful.installation import Installation
from warminfra.cli import prove
from warminfra.core.errors import (
    Conflict,
    NotAllowed,
    OutcomeUnknown,
    StorageFull,
    Unreachable,
    WarminfraError,
)
from warminfra.leasing.sharing import SharingPolicy
from warminfra.service.composition import Parts
from warminfra.service.pending import FOLDER, record_pending

REVERT = {
    "id": "v-lost", "outcome": "revert", "profile": "smoke", "lease_class": "user",
    "fingerprint": "f" * 64, "features": [], "findings": ["X1:a"], "reasons": ["more"],
}  # fmt: skip


@pytest.fixture
def parts(migrated_ledger: Path, tmp_path: Path) -> Iterator[Parts]:
    world = Installation(migrated_ledger, tmp_path)
    world.policy = SharingPolicy()
    settings = SimpleNamespace(service=SimpleNamespace(state_dir=tmp_path))
    made: Any = SimpleNamespace(settings=settings, ledger=world.ledger, clock=world.clock)
    (tmp_path / FOLDER).mkdir()
    yield cast(Parts, made)
    world.ledger.close()


def test_it_is_recorded_once_and_its_file_goes(parts: Parts) -> None:
    """A second start finds nothing more to do."""
    file = parts.settings.service.state_dir / FOLDER / "v-lost.json"
    file.write_text(json.dumps(REVERT))
    assert record_pending(parts) == 1
    (verdict,) = parts.ledger.sharing.facts().verdicts
    assert (verdict.id, verdict.outcome, verdict.findings) == ("v-lost", "revert", ("X1:a",))
    assert not file.exists()
    file.write_text(json.dumps(REVERT))
    assert record_pending(parts) == 0
    assert len(parts.ledger.sharing.facts().verdicts) == 1


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (StorageFull("the ledger cannot be written: database or disk is full"), 1),
        (OutcomeUnknown("the reply was lost"), 1),
        (Unreachable("no service"), 1),
        (Conflict("it is recorded otherwise"), 0),
        (NotAllowed("for admins"), 0),
    ],
    ids=lambda value: value.code if isinstance(value, WarminfraError) else "",
)
def test_what_a_service_could_not_write_is_recorded_at_its_next_start(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, error: WarminfraError, recorded: int
) -> None:
    """A full disk under the service opens no gate; what it refuses is not kept for later."""

    def fails(document: Any) -> None:
        raise error

    client = SimpleNamespace(record_verdict=fails)
    monkeypatch.setattr(prove.session, "client", lambda **_: nullcontext(client))
    monkeypatch.setattr(prove.session, "loaded", lambda: SimpleNamespace(settings=parts.settings))
    prove._record(REVERT)
    assert record_pending(parts) == recorded
    outcomes = [one.outcome for one in parts.ledger.sharing.facts().verdicts]
    assert outcomes == ["revert"] * recorded


def test_it_is_as_old_as_its_audit(parts: Parts) -> None:
    """An approve that lay there for weeks is no fresh one; none is of the future."""
    folder = parts.settings.service.state_dir / FOLDER
    now = parts.clock.wall()
    ended = {"a": now - timedelta(days=21), "b": now + timedelta(days=1)}
    for name, when in ended.items():
        verdict = {**REVERT, "id": f"v-{name}{name}", "created_at": when.isoformat()}
        (folder / f"{name}.json").write_text(json.dumps(verdict))
    assert record_pending(parts) == 2
    found = {one.id: one.created_at for one in parts.ledger.sharing.facts().verdicts}
    assert found == {"v-aa": ended["a"], "v-bb": now}


def test_what_is_no_verdict_stays_and_stops_nothing(parts: Parts) -> None:
    """A broken file is left for a person; the others are recorded."""
    folder = parts.settings.service.state_dir / FOLDER
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text(json.dumps({**REVERT, "outcome": "perhaps"}))
    (folder / "c.json").write_text(json.dumps(REVERT))
    assert record_pending(parts) == 1
    assert sorted(file.name for file in folder.iterdir()) == ["a.json", "b.json"]
