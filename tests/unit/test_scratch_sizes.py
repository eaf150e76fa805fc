"""What an owner has made small on the node keeps no audit from its end."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isolation_checks import scratch as module
from warminfra.config import load
from warminfra.config.settings import Settings
from warminfra.core.errors import Unreachable
from warminfra.service.composition import leasing_settings


def test_a_small_cap_is_not_the_scratch_installations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit holds many leases at once: with the live caps it would end in the middle."""
    given = load(environ={"HOME": str(tmp_path)}, cwd=tmp_path).settings
    small = replace(
        given,
        instances=replace(given.instances, soft_cap=1, hard_cap=1),
        keycloak=replace(given.keycloak, memory_limit=0),
    )
    composed: list[Settings] = []

    def compose(settings: Settings, **_: Any) -> None:
        composed.append(settings)
        raise Unreachable("that is enough")

    monkeypatch.setattr(module, "compose", compose)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    package: Any = SimpleNamespace(name="fake")
    with pytest.raises(Unreachable), module.scratch(small, package, tmp_path, print):
        pass
    (own,) = map(leasing_settings, composed)
    assert (own.soft_cap, own.hard_cap) == (sys.maxsize, sys.maxsize)
