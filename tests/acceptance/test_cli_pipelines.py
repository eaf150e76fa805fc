"""What a pipeline does with leases: bind them, hold them, release a whole run."""

from __future__ import annotations

import json
import os
import stat

import pytest

from tests.command import Home
from tests.fake_service import HANDLE, HELD_UNTIL, LEASE, STATUS, FakeService, problem

HELD = {"WARMINFRA_LEASE_ID": LEASE, "WARMINFRA_LEASE_HANDLE": HANDLE}
RELEASE = ("DELETE", f"/v1/leases/{LEASE}")


def execute(*command: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    return ("exec", "--recipe", "docs", *options, "--", *command)


def test_hold_and_release_of_a_run(home: Home, service: FakeService) -> None:
    """`hold` proves the lease by its handle, `release --run` the run by its key, from the
    environment."""
    ran = home.run("hold", "--for", "90m", extra=HELD)
    assert ran.stdout == f"lease {LEASE} is held until {HELD_UNTIL}\n", ran.stderr
    assert service.asked("POST", f"/v1/leases/{LEASE}/hold")[0][2:] == ({"for_s": 5400.0}, HANDLE)
    refused = home.run("release", "--run", "7")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "WARMINFRA_KEY" in refused.stderr
    key = {"WARMINFRA_KEY": "a-secret-of-the-run"}
    ran = home.run("release", "--run", "7", "--wait", extra=key)
    assert ran.stdout == "run 7: 1 leases are ended, 0 held\n", ran.stderr
    body = service.asked("POST", "/v1/runs/release")[0][2]
    assert body == {"run": "7", "key": "a-secret-of-the-run", "held": False}


def test_the_run_s_held_leases_are_told(home: Home, service: FakeService) -> None:
    """What `release --run` lets be, because it is held, is named with its end."""
    held = {"id": LEASE, "lease": "active", "tenant": "leased", "held_until": HELD_UNTIL}
    service.script["POST", "/v1/runs/release"] = [(202, {"leases": [held]})]
    ran = home.run("release", "--run", "7", "--wait", extra={"WARMINFRA_KEY": "k" * 16})
    assert ran.stdout == "run 7: 0 leases are ended, 1 held\n", ran.stderr
    assert ran.stderr == f"warminfra: lease {LEASE} is held until {HELD_UNTIL}\n"


@pytest.mark.parametrize("pid", ["0", "-3", "x", "1.5"])
def test_a_wrong_pid_is_told_before_anything_is_leased(
    home: Home, service: FakeService, pid: str
) -> None:
    """`--bind-pid` takes a number or `self`."""
    ran = home.run("lease", "--recipe", "docs", f"--bind-pid={pid}")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert not service.requests


def test_a_lease_is_bound_to_a_process(home: Home, service: FakeService) -> None:
    """`self` is the process that calls the command, here this one."""
    for pid in ("4711", "self"):
        assert home.run("lease", "--recipe", "docs", "--bind-pid", pid).returncode == 0
    wishes = [wish for _, _, wish, _ in service.asked("POST", "/v1/leases")]
    assert [wish["bind_pid"] for wish in wishes] == [4711, os.getpid()]


def test_status_and_leases_show_what_is_held(home: Home, service: FakeService) -> None:
    """The budget and each held lease in `status`, the end of the hold in `leases`."""
    row = {"id": LEASE, "recipe": "docs", "run": "7", "held_until": HELD_UNTIL, "memory": 2 << 20}
    service.script["GET", "/v1/status"] = [(200, {**STATUS, "held": [row]})]
    service.script["GET", "/v1/leases"] = [(200, {"leases": [row]})]
    shown = home.run("status").stdout
    assert "held: 1 of 3, 2 of 2048 MiB" in shown
    assert f"lease {LEASE} of docs is held until {HELD_UNTIL} (run 7)" in shown
    assert HELD_UNTIL in home.run("leases").stdout


HOLD = ("POST", f"/v1/leases/{LEASE}/hold")


def test_a_failed_command_s_lease_is_held(home: Home, service: FakeService) -> None:
    """--on-failure hold:2h: the code is CMD's, nothing is released, and one line tells where the
    document is and how to end it."""
    ran = home.run(*execute("sh", "-c", "exit 7", options=("--on-failure", "hold:2h")))
    assert ran.returncode == 7, ran.stderr
    assert [(body, handle) for *_, body, handle in service.asked(*HOLD)] == [
        ({"for_s": 7200.0}, HANDLE)
    ]
    assert not service.asked(*RELEASE)
    (kept,) = home.runtime_dir.glob(f"held-{LEASE}-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["handle"] == HANDLE
    assert ran.stderr.count("\n") == 1
    assert f"warminfra release {LEASE} --handle-file {kept}" in ran.stderr
    assert HANDLE not in ran.stderr
    assert home.run("release", LEASE, "--handle-file", str(kept)).returncode == 0
    assert not kept.exists()


@pytest.mark.parametrize("command", [("true",), ("sh", "-c", "kill -INT $$")])
def test_what_did_not_fail_is_not_held(
    home: Home, service: FakeService, command: tuple[str, ...]
) -> None:
    """A success, or a command that was interrupted, is released as ever."""
    home.run(*execute(*command, options=("--on-failure", "hold:2h")))
    assert not service.asked(*HOLD)
    assert len(service.asked(*RELEASE)) == 1


def test_a_refused_hold_is_told_and_the_lease_released(home: Home, service: FakeService) -> None:
    """Beyond the budget: the reason in one line, the lease is given back, the code stays CMD's."""
    service.script[HOLD] = [problem(503, "no_capacity", "3 are held", "release one")]
    ran = home.run(*execute("sh", "-c", "exit 7", options=("--on-failure", "hold:2h")))
    assert ran.returncode == 7
    assert ran.stderr == f"warminfra: lease {LEASE} is not held: 3 are held (release one)\n"
    assert len(service.asked(*RELEASE)) == 1


@pytest.mark.parametrize("wrong", ["hold", "keep:2h", "hold:soon", "hold:900h", "hold:0s"])
def test_a_wrong_on_failure_is_told_before_anything_is_leased(
    home: Home, service: FakeService, wrong: str
) -> None:
    """125 and one line for what is no hold, or longer than any may be."""
    ran = home.run(*execute("true", options=("--on-failure", wrong)))
    assert (ran.returncode, ran.stderr.count("\n")) == (125, 1)
    assert not service.requests


def test_documents_of_holds_that_are_over_are_removed(home: Home, service: FakeService) -> None:
    """The next `exec` removes them; one whose hold goes on stays."""
    for end in (1, 4102444800):
        (home.runtime_dir / f"held-{LEASE}-{end}.json").write_text("x")
    assert home.run(*execute("true")).returncode == 0
    assert [path.name for path in home.runtime_dir.glob("held-*")] == [
        f"held-{LEASE}-4102444800.json"
    ]


def test_the_runs_key_goes_with_exec_and_is_not_the_requests(
    home: Home, service: FakeService
) -> None:
    """`release --run` reaches what `exec` leased, and yet each `exec` is a lease of its own."""
    key = "a-secret-of-the-run"
    for _ in range(2):
        home.run(*execute("true", options=("--run", "7")), extra={"WARMINFRA_KEY": key})
    wishes = [wish for _, _, wish, _ in service.asked("POST", "/v1/leases")]
    assert [wish["run_key"] for wish in wishes] == [key, key]
    assert wishes[0]["key"] != wishes[1]["key"]
