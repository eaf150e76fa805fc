"""Servers of one's own, on the real server: the same lease, nobody beside it, gone at its end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.browser import login, logout
from testbed.installation import Installation, wait_until
from testbed.relying_party import free_port, running
from tests.live.test_service_lease import give_back, handle, take

pytestmark = pytest.mark.live

GIB = 1 << 30
NODE = f"""
[instances]
memory = {3 * GIB}
spares = 0
[keycloak]
heap = "384MiB"
memory_limit = "768MiB"
[pool]
min = 1
max = 1
"""
"""Room for one warm and three dedicated instances."""
MEMORY = Path("/sys/fs/cgroup/memory")


def folders(installation: Installation) -> int:
    """Count the instances that have files."""
    return sum(1 for _ in (installation.state_dir / "instances").glob("kc-*/data"))


@pytest.fixture(scope="module")
def alone(live_cache: Path) -> Iterator[Installation]:
    """An installation that shares nothing, and keeps no spare."""
    config = '[instances]\nspares = 0\npark_after = "1s"\n'
    with Installation.temporary(policy="never", config=config) as installation:
        installation.up()
        installation.enroll()
        yield installation


def test_a_server_of_ones_own_by_the_same_lease(alone: Installation, warm: Installation) -> None:
    """The document has the shared one's form; a login works; at release server and data go."""
    port = free_port()
    shared, document = (take(each, "--domain", f"127.0.0.1:{port}") for each in (warm, alone))
    give_back(warm, shared)
    assert (document["mode"], document["mode_reason"]) == ("dedicated", "policy never")
    assert document.keys() == shared.keys()
    assert document["env"].keys() == shared["env"].keys()
    alice = document["users"][0]
    with (
        running({**os.environ, **document["env"]}, port=port) as app,
        login(app.url, "alice", alice["password"]) as session,
    ):
        assert session.email == alice["email"]
        logout(session)
    wait_until(lambda: len(alone.keycloak_pids()) == 1, 20.0, "the warm one to be parked")
    give_back(alone, document)
    assert alone.keycloak_pids() == []
    with pytest.raises(httpx.TransportError):
        httpx.get(document["endpoints"]["discovery"])
    assert folders(alone) == 1, "more than the parked one's data"
    assert alone.up() < 5.0, "with the warm one parked a lease is possible all the same"
    assert "dedicated" not in [row["kind"] for row in alone.json("status")["instances"]]


def test_two_servers_share_no_key(alone: Installation) -> None:
    """Each has keys of its own, master's too; none is the snapshot's."""
    documents = [take(alone), take(alone)]
    bases = [document["issuer"].rsplit("/", 1)[0] for document in documents]
    assert bases[0] != bases[1]
    keys = [
        {key["n"] for key in httpx.get(url).json()["keys"]}
        for base, document in zip(bases, documents, strict=True)
        for url in (document["endpoints"]["jwks"], f"{base}/master/protocol/openid-connect/certs")
    ]
    assert all(keys)
    assert len(set.union(*keys)) == sum(map(len, keys))
    for document in documents:
        give_back(alone, document)


def test_neither_death_ends_the_lease(alone: Installation) -> None:
    """Server and service are killed: both are back with the tenant, and it ends as it should."""
    document = take(alone)
    alone.kill_keycloak()
    alone.kill_service()
    alone.up()

    def answers() -> bool:
        try:
            return httpx.get(document["endpoints"]["discovery"]).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, 60.0, "the lease's server to be back")
    assert alone.json("show", document["id"], env=handle(document))["mode"] == "dedicated"
    give_back(alone, document)
    assert alone.keycloak_pids() == []


def test_a_spare_serves_at_once(live_cache: Path) -> None:
    """With a spare in store a lease waits for nothing, and another is made behind it."""
    config = '[instances]\nspares = 1\npark_after = "1s"\n'
    with Installation.temporary(policy="never", config=config) as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(1)
        document = take(installation)
        assert document["mode"] == "dedicated"
        assert installation.json("status")["waiting"] == 0
        installation.wait_ready(1)
        give_back(installation, document)


def test_the_fourth_waits_for_memory(live_cache: Path) -> None:
    """Under a limit of 3 GiB, by the kernel and by the settings, a shared and three dedicated
    leases live together; the fourth is told why it waits, and has the place that is given back."""
    with Installation.temporary(config=NODE) as installation, _limited(3 * GIB) as group:
        _run_in(group, installation, "up")
        installation.enroll()
        shared = take(installation)
        installation.run("revert", "--why", "for the test")
        own = [take(installation) for _ in range(3)]
        assert {document["mode"] for document in own} == {"dedicated"}
        assert shared["mode"] == "shared"
        refused = installation.run(
            *("lease", "--recipe", "lasuite-docs", "--reveal", "--wait", "3s"), check=False
        )
        assert refused.returncode == 75, refused.stderr
        assert "no memory for another server of one's own: 3 in use" in refused.stderr
        assert "(place 1 in the queue)" in refused.stderr
        waiting = installation.start(
            ["lease", "--recipe", "lasuite-docs", "--reveal", "-o", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        # The one that gave up keeps its place until it has not asked for a while.
        wait_until(lambda: installation.json("status")["waiting"] == 1, 30.0, "the fourth to wait")
        give_back(installation, own.pop())
        fourth = json.loads(waiting.communicate(timeout=60.0)[0])
        for document in (shared, *own, fourth):
            assert httpx.get(document["endpoints"]["discovery"]).status_code == 200
            give_back(installation, document)
        killed = (group / "memory.oom_control").read_text()
        assert "oom_kill 0" in killed, killed


@contextmanager
def _limited(size: int) -> Iterator[Path]:
    """Make a control group that may have so many bytes of memory; remove it when it is empty."""
    if not (MEMORY / "memory.limit_in_bytes").exists() or os.geteuid() != 0:
        pytest.fail("control groups for memory (version 1) and root are needed")
    group = MEMORY / f"warminfra-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(size))
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (MEMORY / "cgroup.procs").write_text(pid)
        group.rmdir()


def _run_in(group: Path, installation: Installation, *command: str) -> Any:
    """Run a command, and all that it starts, in the group."""
    enter = ("sh", "-c", 'echo $$ > "$0" && exec warminfra "$@"', str(group / "cgroup.procs"))
    return subprocess.run(
        [*enter, *command],
        env=installation.env,
        cwd=installation.folder,
        check=True,
        timeout=180.0,
    )
