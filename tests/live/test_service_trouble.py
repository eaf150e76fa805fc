"""Trouble at the real service: it says what is wrong, loses nothing, and recovers by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.installation import Installation, wait_until
from tests.live.test_service_lease import give_back, handle, take

pytestmark = pytest.mark.live

SMALL = (
    "[pool]\nmin = 2\nmax = 2\n[leases]\ngrace = '5s'\n[keycloak]\ntransaction_timeout = '10s'\n"
)
"""A create without an answer is in doubt for the server's transaction timeout and half a minute."""


@pytest.fixture(scope="module")
def ours(live_cache: Path) -> Iterator[Installation]:
    """An installation that the tests of this module may hurt."""
    with Installation.temporary(config=SMALL) as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(2)
        yield installation


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Freeze processes for a block: they live and answer nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def tenants_on(installation: Installation) -> set[str]:
    """Return the ids of the tenants that its server has."""
    provider = installation.provider()
    try:
        return {str(found.ref.id) for found in provider.list_tenants()}
    finally:
        provider.close()


def settle(installation: Installation) -> None:
    """Wait until nothing is being made or taken down and the pool is full; then nothing may lie."""

    def quiet() -> bool:
        tenants = installation.tenants()
        return tenants["creating"] == tenants["retiring"] == 0 and tenants["ready"] == 2

    wait_until(quiet, 120.0, "an idle installation with a full pool", poll=0.2)
    assert installation.lies() == []


def test_a_server_that_does_not_answer(ours: Installation) -> None:
    """While Keycloak hangs, a pooled lease and a release work at once; the teardown follows later.

    A lease that needs the server waits, and ends with 75 and the reason.
    """
    with stopped(ours.keycloak_pids()):
        first, second = take(ours), take(ours)
        waited = ours.run(
            "lease", "--recipe", "lasuite-docs", "--wait", "1s", "--reveal", check=False
        )
        assert waited.returncode == 75, waited.stderr
        assert len(waited.stderr.strip().splitlines()) <= 2
        for document in (first, second):
            ours.run("release", document["id"], env=handle(document))
        assert ours.tenants()["retiring"] == 2
    settle(ours)


def test_keycloak_is_killed(ours: Installation) -> None:
    """A held lease survives kill -9 of the server: its client and users are there afterwards."""
    document = take(ours)
    ours.kill_keycloak()
    wait_until(lambda: ours.keycloak_pids() and _ready(ours), 90.0, "a server again")
    ours.run("renew", document["id"], env=handle(document))
    provider = ours.provider()
    assert document["id"] in {found.ref.id for found in provider.list_tenants()}
    provider.close()
    give_back(ours, document)
    settle(ours)


def test_the_service_is_killed(ours: Installation) -> None:
    """After kill -9 the next `up` adopts the running server; a held lease is the holder's still."""
    document = take(ours)
    keycloak = ours.keycloak_pids()
    ours.kill_service()
    lost = ours.run("renew", document["id"], env=handle(document), check=False)
    assert lost.returncode == 69, lost.stderr
    ours.up()
    assert ours.keycloak_pids() == keycloak
    ours.run("renew", document["id"], env=handle(document))
    give_back(ours, document)
    settle(ours)


def test_two_ups_at_once(ours: Installation) -> None:
    """Both find it ready, one of them has started it."""
    ours.kill_service()
    both = [ours.start(["up"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    told = [run.communicate(timeout=60.0) for run in both]
    assert [run.returncode for run in both] == [0, 0], told
    assert sorted("(started" in out for out, _ in told) == [False, True]
    settle(ours)


def test_the_ledger_is_lost(ours: Installation) -> None:
    """The server that runs serves on; what lies on it goes when its grace period is over."""
    keycloak, (instance,) = ours.keycloak_pids(), ours.ports()
    before = tenants_on(ours)
    assert before
    ours.kill_service()
    for file in ours.ledger_path.parent.glob(f"{ours.ledger_path.name}*"):
        file.unlink()
    ours.up()
    ours.enroll()
    assert ours.keycloak_pids() == keycloak
    document = take(ours)
    assert [row["id"] for row in ours.json("status")["instances"]] == [instance]
    give_back(ours, document)
    wait_until(lambda: not before & tenants_on(ours), 90.0, "the end of what the old one knew")
    settle(ours)


def test_a_killed_exec_leaves_nothing(ours: Installation, tmp_path: Path) -> None:
    """Kill -9 of `exec`: its tenant is in teardown within 12 s, and no child of it lives on."""
    told = tmp_path / "pid"
    command = f"import os,time; open({str(told)!r},'w').write(str(os.getpid())); time.sleep(600)"
    run = ours.start(
        ["exec", "--recipe", "lasuite-docs", "--run", "dies", "--", sys.executable, "-c", command],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: told.exists() and told.read_text(), 30.0, "the command")
    child = int(told.read_text())
    run.kill()
    run.wait()
    killed = time.monotonic()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), 3.0, "the child's end")
    wait_until(lambda: not ours.json("leases")["leases"], 12.0, "the lease's end")
    assert time.monotonic() - killed < 12.0
    settle(ours)


def test_a_full_disk(live_cache: Path, tmp_path: Path) -> None:
    """Below the reserve a lease is refused with 73 and releases work; with no byte left, too.

    Afterwards everything goes on by itself.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    with Installation.temporary(config=f'{SMALL}[service]\ndisk_reserve = "16MiB"\n') as small:
        state = small.folder / "state"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0700", "tmpfs", state], check=True
        )
        try:
            small.up()
            small.enroll()
            small.wait_ready(2)
            document, other = take(small), take(small)
            filler = state / "filler"
            _fill(filler, leave=4 << 20)
            refused = small.run("lease", "--recipe", "lasuite-docs", "--reveal", check=False)
            assert refused.returncode == 73, refused.stderr
            assert "below the reserve of 16 MiB" in refused.stderr
            small.run("release", document["id"], env=handle(document))
            _fill(filler, leave=0)
            full = small.run("release", other["id"], env=handle(other), check=False)
            assert full.returncode in (0, 73), full.stderr
            filler.unlink()
            wait_until(lambda: small.keycloak_pids() and _ready(small), 90.0, "a server again")
            small.run("release", other["id"], env=handle(other))
            settle(small)
            give_back(small, take(small))
            small.run("down")
        finally:
            small.end()
            subprocess.run(["umount", "--lazy", state], check=True)


def _ready(installation: Installation) -> bool:
    with installation.client() as client:
        return client.ready()


def _fill(file: Path, *, leave: int) -> None:
    """Write until `leave` bytes are free."""
    with file.open("ab", buffering=0) as out:
        while (free := shutil.disk_usage(file.parent).free) > leave:
            out.write(b"\0" * min(free - leave, 1 << 20))
