"""A whole installation on a fake server, at rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stateful.installation import Installation


@pytest.fixture
def world(migrated_ledger: Path, tmp_path: Path) -> Iterator[Installation]:
    folder = tmp_path / "world"
    folder.mkdir()
    made = Installation(migrated_ledger, folder)
    made.settle()
    yield made
    made.ledger.close()
