"""`up`, `down`, `serve` with the real service, in front of a server that does not answer."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.command import ARGV, Home, new_home
from warminfra.cli.processes import start_time
from warminfra.core.files import file_lock

NO_SERVER = """
[sharing]
policy = "unproven"
[keycloak]
url = "http://127.0.0.1:9"
admin_client_id = "admin"
admin_client_secret = "a-secret-that-is-in-no-log"
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        made.configure(NO_SERVER)
        yield made
        made.run("down")
        pid = pid_of(made)
        if pid and start_time(pid) is not None:  # a failed test must not leave a service behind
            os.kill(pid, signal.SIGKILL)


def pid_of(home: Home) -> int:
    lock = home.state_dir / "service.lock"
    return int(lock.read_text() or 0) if lock.exists() else 0


def bring_up(home: Home) -> int:
    """Start the service, wait until it answers, return its pid."""
    assert home.run("up", "--wait", "1ms").returncode == 75
    while home.run("leases").returncode != 0:
        pass
    assert pid_of(home) > 1
    return pid_of(home)


def test_up_waits_and_down_ends_it(home: Home) -> None:
    """`up` ends in 75 with what it waited for; the service runs on; `down` ends it, twice too."""
    pid = bring_up(home)
    ran = home.run("up", "--wait", "1s")
    assert ran.returncode == 75
    assert "kc-" in ran.stderr.splitlines()[-1]
    assert json.loads(home.run("status", "-o", "json").stdout)["pid"] == pid
    ran = home.run("down")
    assert (ran.returncode, ran.stdout) == (0, "warminfra is stopped\n")
    assert start_time(pid) is None
    assert not list(home.runtime_dir.glob("*.sock"))
    ran = home.run("down")
    assert (ran.returncode, ran.stdout) == (0, "warminfra is not running\n")


def test_down_ends_the_servers_that_no_service_has(home: Home) -> None:
    """After `serve` has ended, or was killed, they run on; `down` tells of them and ends them."""
    place = home.state_dir / "instances" / "kc-abcdefgh"
    place.mkdir(parents=True)
    with (place / "process.lock").open("w") as lock:
        server = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),))
    try:
        would = home.run("down", "--dry-run").stdout
        assert would == "would stop the servers that a service has left: kc-abcdefgh\n"
        assert server.poll() is None
        ran = home.run("down")
        assert ran.returncode == 0
        assert ran.stdout == "warminfra is not running; its servers are stopped: kc-abcdefgh\n"
        assert server.wait(5.0) == -signal.SIGTERM
        assert home.run("down").stdout == "warminfra is not running\n"
    finally:
        server.kill()
        server.wait()


@contextmanager
def left_over(home: Home, *below: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that was to make a snapshot, and whose maker is gone."""
    place = home.path.joinpath("cache/warminfra/snapshots/.keycloak-0123.part-abc", *below)
    place.mkdir(parents=True)
    with (place / "process.lock").open("w") as lock:
        server = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),))
    try:
        yield server
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("below", [(), ("rehearsal",)])
def test_down_ends_a_server_that_was_to_be_a_snapshot(home: Home, below: tuple[str, ...]) -> None:
    """One that runs on after its service was killed, of whatever version, is nobody's."""
    with left_over(home, *below) as server:
        would = home.run("down", "--dry-run").stdout
        assert would.endswith(" servers that a service has left: snapshot of keycloak-0123\n")
        assert server.poll() is None
        ran = home.run("down")
        assert ran.returncode == 0
        assert ran.stdout.endswith("; its servers are stopped: snapshot of keycloak-0123\n")
        assert server.wait(5.0) == -signal.SIGKILL
        assert home.run("down").stdout == "warminfra is not running\n"


def test_down_of_a_service_ends_what_an_earlier_one_was_preparing(home: Home) -> None:
    """The service that runs does not know of it, and needs no snapshot."""
    with left_over(home) as server:
        bring_up(home)
        assert server.poll() is None
        assert home.run("down").stdout == "warminfra is stopped\n"
        assert server.wait(5.0) == -signal.SIGKILL


def test_down_leaves_a_snapshot_alone_that_somebody_makes_now(home: Home) -> None:
    """Another installation of the user has the same cache."""
    with left_over(home) as server:
        lock = home.path / "cache" / "warminfra" / "snapshots" / "lock"
        with file_lock(lock):
            assert home.run("down").stdout == "warminfra is not running\n"
        assert server.poll() is None


def test_the_services_log_is_private_and_without_secrets(home: Home) -> None:
    """What the service says goes to a file of mode 0600; no secret is in it or in any argv."""
    bring_up(home)
    log = home.state_dir / "service.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "a-secret-that-is-in-no-log" not in log.read_text()
    argv = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "a-secret-that-is-in-no-log" not in argv


def test_what_lies_on_another_server_is_not_forgotten(home: Home) -> None:
    """Another `keycloak.url` while something may be left on the first: refused, with what to do."""
    bring_up(home)
    assert home.run("down").returncode == 0
    moved = home.run("--set", "keycloak.url=http://127.0.0.1:8", "up", "--wait", "30s")
    assert moved.returncode == 78
    assert "what this installation has made is on http://127.0.0.1:9" in moved.stderr
    bring_up(home)


def test_a_purge_twice_is_fine(home: Home) -> None:
    """Once nothing is left there is nothing to do."""
    bring_up(home)
    assert home.run("down", "--purge", "--yes").returncode == 0
    again = home.run("down", "--purge", "--yes")
    assert (again.returncode, again.stdout) == (0, "warminfra is not running\n")
    moved = home.run("--set", "keycloak.url=http://127.0.0.1:8", "up", "--wait", "1ms")
    assert moved.returncode == 75


def test_what_is_set_by_flags_is_in_no_argument_of_the_service(home: Home) -> None:
    """It holds for the service, and for nobody to read."""
    secret = "another-secret-for-nobody"
    ran = home.run("--set", f"keycloak.admin_client_secret={secret}", "up", "--wait", "1ms")
    assert ran.returncode == 75
    argv = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "cli serve" in argv
    assert secret not in argv


def test_up_says_why_the_service_did_not_start(home: Home) -> None:
    """If the service ends at once, `up` prints its reason and ends with its exit code."""
    home.state_dir.mkdir(parents=True)
    (home.state_dir / "installation.json").write_text("{}")
    ran = home.run("up")
    assert ran.returncode == 78
    assert "installation.json is damaged" in ran.stderr.splitlines()[-1]


def test_a_ledger_that_is_damaged_is_told_by_its_name(home: Home) -> None:
    """One line with the file and what to do, and exit code 78."""
    home.state_dir.mkdir(parents=True)
    (home.state_dir / "ledger.db").write_bytes(b"no ledger" * 1000)
    ran = home.run("up")
    assert ran.returncode == 78
    assert "ledger.db is damaged" in ran.stderr.splitlines()[-1]


def test_a_second_service_is_refused(home: Home) -> None:
    """A second service on the same state directory ends with 79 and names the first."""
    pid = bring_up(home)
    ran = home.run("serve")
    assert (ran.returncode, ran.stderr.count("\n")) == (79, 1)
    assert str(pid) in ran.stderr


def test_up_reaches_a_service_that_somebody_else_starts(home: Home) -> None:
    """Two `up` at once start one service, and both wait for it."""
    both = [home.start("up", "--wait", "3s") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [75, 75]


def test_down_ends_a_service_that_only_begins(home: Home) -> None:
    """`down` right after an `up` that did not wait ends the service all the same."""
    assert home.run("up", "--wait", "1ms").returncode == 75
    ran = home.run("down")
    assert (ran.returncode, ran.stdout) == (0, "warminfra is stopped\n")
    assert start_time(pid_of(home)) is None


def test_state_that_cannot_be_written_is_73(home: Home) -> None:
    """`up` names the folder that it cannot write, and ends with 73."""
    (home.path / "state").write_text("a file, not a folder")
    ran = home.run("up")
    assert (ran.returncode, ran.stderr.count("\n")) == (73, 1)
    (home.path / "state").unlink()


def test_a_killed_services_socket_does_not_hold_anybody(home: Home) -> None:
    """After kill -9 of the service a command says so, and `up` starts a new one."""
    old = bring_up(home)
    os.kill(old, signal.SIGKILL)
    ran = home.run("status")
    assert (ran.returncode, ran.stderr.count("\n")) == (69, 1)
    assert bring_up(home) != old


def test_serve_ends_on_term(home: Home) -> None:
    """`serve` in the foreground ends with 0 on TERM, and takes its sockets with it."""
    process = subprocess.Popen(
        [*ARGV, "serve"],
        cwd=home.path,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    while line and "serving" not in line:
        line = process.stderr.readline()
    while home.run("leases").returncode != 0:
        assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not list(home.runtime_dir.glob("*.sock"))
