"""The four reference recipes are proper ones: two versions, and nothing odd about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.recipe_repository import IMAGES, make_repository
from warminfra.recipes import read_folder


@pytest.mark.parametrize("name", IMAGES)
def test_each_has_two_versions_and_nothing_odd(name: str, tmp_path: Path) -> None:
    """Health checks and backups, no warning, no collision that a run could not bear."""
    found = read_folder(make_repository(name, tmp_path), name)
    assert found.previous is not None
    assert (found.current.tag, found.previous.tag) == found.tags
    for version in found.versions:
        assert version.warnings == ()
        assert {each.separation for each in version.collisions} == {"apart"}
        assert all(service.health_check for service in version.services.values())
        assert any(backup.enabled for backup in version.backups)
        assert not any(use.floating for use in version.images)
