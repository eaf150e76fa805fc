"""Ends of processes are seen at once, and a number that was given away again deceives nobody."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from warminfra.core.errors import NotAllowed, NotFound, Usage
from warminfra.core.models import ProcessRef
from warminfra.instances.deaths import ProcessWatch
from warminfra.instances.processes import process_ref
from warminfra.service.binding import bound_process
from warminfra.service.peers import RUN, Peer


@pytest.fixture
def watch() -> Iterator[ProcessWatch]:
    made = ProcessWatch()
    yield made
    made.close()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def ref(process: subprocess.Popen[bytes]) -> ProcessRef:
    found = process_ref(process.pid)
    assert found is not None
    return found


def test_the_end_of_a_watched_process_wakes_at_once(
    watch: ProcessWatch, sleeper: subprocess.Popen[bytes]
) -> None:
    """kill -9 is seen by who waits already, long before its timeout, and told once."""
    watch.watch({ref(sleeper)})
    assert not watch.wait(0)
    killer = threading.Timer(0.2, sleeper.kill)
    killer.start()
    begun = time.monotonic()
    assert watch.wait(30.0)
    assert time.monotonic() - begun < 5.0
    assert not watch.wait(0)


def test_a_process_watched_meanwhile_is_seen_too(
    watch: ProcessWatch, sleeper: subprocess.Popen[bytes]
) -> None:
    """Who waits need not begin anew for a process that is added."""
    adder = threading.Timer(0.1, lambda: watch.watch({ref(sleeper)}))
    killer = threading.Timer(0.4, sleeper.kill)
    for timer in (adder, killer):
        timer.start()
    begun = time.monotonic()
    assert watch.wait(30.0)
    assert time.monotonic() - begun < 5.0


def test_what_is_not_watched_any_more_wakes_nobody(
    watch: ProcessWatch, sleeper: subprocess.Popen[bytes]
) -> None:
    """A lease that has ended by itself leaves no handle behind."""
    before = len(os.listdir("/proc/self/fd"))
    watch.watch({ref(sleeper)})
    assert len(os.listdir("/proc/self/fd")) == before + 1
    watch.watch(())
    assert len(os.listdir("/proc/self/fd")) == before
    sleeper.kill()
    sleeper.wait()
    assert not watch.wait(0.05)


def test_a_number_given_away_again_is_another_process(
    watch: ProcessWatch, sleeper: subprocess.Popen[bytes]
) -> None:
    """Same number, other start time: dead, and no handle is kept on whoever has it now."""
    other = ProcessRef(sleeper.pid, ref(sleeper).start - 1)
    assert not watch.alive(other)
    assert watch.alive(ref(sleeper))
    watch.watch({other})
    sleeper.kill()
    assert not watch.wait(0.05)


def test_a_zombie_is_dead(watch: ProcessWatch, sleeper: subprocess.Popen[bytes]) -> None:
    """Nobody has to wait for a process for its lease to end."""
    process = ref(sleeper)
    watch.watch({process})
    sleeper.kill()
    assert watch.wait(10.0)
    assert not watch.alive(process)


def me() -> Peer:
    return Peer(RUN, os.getpid(), os.getuid())


def test_a_lease_is_bound_to_the_caller_or_to_one_of_its_own(
    sleeper: subprocess.Popen[bytes],
) -> None:
    """Without a number it is the calling process; with one, that process of the same user."""
    assert bound_process(me(), 0) == process_ref(os.getpid())
    assert bound_process(me(), sleeper.pid) == ref(sleeper)


def test_a_process_that_is_not_there_or_not_ones_own_is_refused(
    sleeper: subprocess.Popen[bytes],
) -> None:
    """66 for a number that no process has, 77 for another user's, 2 for a caller that cannot be
    seen."""
    sleeper_pid = sleeper.pid
    with pytest.raises(NotAllowed, match=str(sleeper_pid)):
        bound_process(Peer(RUN, os.getpid(), os.getuid() + 1), sleeper_pid)
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(NotFound, match=str(sleeper_pid)):
        bound_process(me(), sleeper_pid)
    with pytest.raises(Usage):
        bound_process(Peer(RUN, 0, os.getuid()), 0)
    with pytest.raises(Usage):
        bound_process(Peer(RUN, 0, os.getuid()), os.getpid())
