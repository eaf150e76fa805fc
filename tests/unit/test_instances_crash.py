"""Kill -9 of the service at the lines of a start: the next start converges, always."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import warminfra.core.files
import warminfra.instances
from tests.fake_distribution import FakeDistribution
from warminfra.core.ids import InstallationId, InstanceId
from warminfra.core.secret import Secret
from warminfra.instances.local import LocalLauncher
from warminfra.instances.processes import process_ref
from warminfra.instances.snapshots import end_unfinished

INSTANCE = InstanceId("kc-one")
OURS = (str(Path(warminfra.instances.__file__).parent), warminfra.core.files.__file__)
EVERY = 8
"""Every line would take a minute; each run of this test takes another eighth of them."""


def silent(_: str) -> None:
    """Take a line of progress and drop it."""


def launcher_in(tmp_path: Path, distribution: FakeDistribution | None = None) -> LocalLauncher:
    return LocalLauncher(
        distribution or FakeDistribution(),
        installation=InstallationId("abcdefgh"),
        state_dir=tmp_path / "state",
        cache_dir=tmp_path / "cache",
        start_patience=20.0,
    )


def servers_of(tmp_path: Path) -> list[int]:
    """Return the server processes that work below `tmp_path`, found without the launcher's help."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and process_ref(int(entry.name)):
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(f"{tmp_path}/".encode()) for word in argv):
                found.append(int(entry.name))
    return found


class Tracer:
    """Counts the distinct lines of ours that run, and kills the process at the wanted one."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(OURS):
            return None
        if event == "line":
            self.seen.add((file, frame.f_lineno))
            if len(self.seen) == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def start_killed_at(tmp_path: Path, line: int) -> int:
    """Start the instance in a process that dies at its `line`th line; return its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sys.settrace(Tracer(line))
            launcher_in(tmp_path).start(INSTANCE, silent)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def converges(tmp_path: Path) -> None:
    """Assert that a start now ends with exactly one server, whole, and that it can be ended."""
    launcher = launcher_in(tmp_path)
    running = launcher.start(INSTANCE, silent)
    assert launcher.alive(running)
    assert launcher.adopt(INSTANCE) is not None
    assert running.access.identity["maker_secret"].reveal()
    assert len(servers_of(tmp_path)) == 1
    place = tmp_path / "state" / "instances" / INSTANCE
    assert not list(place.glob(".data.part-*"))
    assert not list(place.glob("data.broken-*"))
    assert not list((tmp_path / "cache" / "snapshots").glob(".*part-*"))


class Fatal(FakeDistribution):
    """One in whose rehearsal, or first start, the service dies."""

    def rehearse(self, ports: Mapping[str, int], bootstrap: Secret) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def healthy(self, ports: Mapping[str, int]) -> bool:
        ready = super().healthy(ports)
        if ready and self.option == "first start":
            os.kill(os.getpid(), signal.SIGKILL)
        return ready


@pytest.mark.parametrize("when", ["first start", "rehearsal"])
def test_a_snapshot_whose_maker_was_killed_leaves_no_server(tmp_path: Path, when: str) -> None:
    """Its server can be found and ended without knowing of what kind it was."""
    cache = tmp_path / "cache"
    child = os.fork()
    if child == 0:
        try:
            launcher_in(tmp_path, Fatal(when)).prepare(silent)
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert len(servers_of(cache / "snapshots")) == 1
    (told,) = end_unfinished(cache, look_only=True)
    assert told.startswith("snapshot of fake-")
    assert len(servers_of(cache / "snapshots")) == 1
    assert end_unfinished(cache) == [told]
    assert servers_of(cache / "snapshots") == []
    assert end_unfinished(cache) == []


def test_a_cache_without_leftovers_is_only_read(tmp_path: Path) -> None:
    """It may be read-only when a service is stopped that was started from it."""
    whole = tmp_path / "snapshots" / "fake-0123"
    whole.mkdir(parents=True)
    assert end_unfinished(tmp_path) == []
    assert list(whole.parent.iterdir()) == [whole]


@pytest.mark.parametrize("phase", ["first", "again", "adopting"])
def test_start_killed_anywhere_converges(tmp_path: Path, phase: str) -> None:
    """Whatever line the service dies at, the next start ends with one server and whole data."""
    folder, number = tmp_path, 0
    line = 1 + os.getpid() % EVERY
    while True:
        folder = tmp_path / str(number := number + 1)
        launcher = launcher_in(folder)
        if phase != "first":
            running = launcher.start(INSTANCE, silent)
            if phase == "again":
                launcher.stop(INSTANCE, discard=False)
        status = start_killed_at(folder, line)
        if phase == "adopting":
            assert launcher.alive(running)
        converges(folder)
        launcher_in(folder).stop(INSTANCE, discard=True)
        assert servers_of(folder) == []
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
        line += EVERY
    assert number > 5
