"""Who may reach the sockets, and what the service hands on to what it starts."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from warminfra.cli import serve, session
from warminfra.service.server import _listen


@pytest.mark.parametrize("made_before", [False, True])
def test_a_group_comes_to_the_run_socket_whatever_the_umask(
    tmp_path: Path, made_before: bool
) -> None:
    """It may pass through the folder and use the one socket; nobody lists it, nobody is admin."""
    place = tmp_path / "run"
    if made_before:
        place.mkdir(mode=0o700)
    before = os.umask(0o077)
    try:
        sockets = _listen(place, grp.getgrgid(os.getgid()).gr_name)
    finally:
        os.umask(before)
    for each in sockets:
        each.close()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (place, *place.iterdir())}
    assert modes == {"run": 0o711, "run.sock": 0o660, "admin.sock": 0o600}


def test_what_was_set_by_flags_holds_for_scheduled_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are processes of their own, and must audit this installation."""
    seen: dict[str, str] = {}
    monkeypatch.setattr(session, "flags", lambda: {"service.state_dir": "/s", "pool.max": "3"})
    monkeypatch.setattr(serve, "serve", lambda _: seen.update(os.environ))
    for name in ("WARMINFRA_SERVICE__STATE_DIR", "WARMINFRA_POOL__MAX"):
        monkeypatch.setenv(name, "before")
    serve.run_service(cast(Any, SimpleNamespace(settings=None)))
    assert seen["WARMINFRA_SERVICE__STATE_DIR"] == "/s"
    assert seen["WARMINFRA_POOL__MAX"] == "3"
