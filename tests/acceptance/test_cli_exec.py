"""`warminfra exec`: exit codes, signals, lost leases, and that nothing outlives a killed one."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import ARGV, Home
from tests.fake_service import CLIENT_SECRET, HANDLE, LEASE, FakeService, document, problem, serving
from warminfra.cli.processes import descendants, start_time

RENEW = ("POST", f"/v1/leases/{LEASE}/renew")
FOREVER = "while :; do sleep 0.02; done"
RELEASE = ("DELETE", f"/v1/leases/{LEASE}")

FAMILY = """
import os, subprocess, sys, time
# A child, a grandchild in a session of its own, and a daemon that forked twice.
child = subprocess.Popen(["sleep", "60"])
sessioned = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "60"])
    os._exit(0)
os.wait()
with open(sys.argv[1] + ".part", "w") as out:
    out.write("here")
os.rename(sys.argv[1] + ".part", sys.argv[1])
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
time.sleep(60)
"""


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for a condition; say whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def ended(pids: list[int], starts: dict[int, int | None]) -> bool:
    return not [pid for pid in pids if starts[pid] is not None and start_time(pid) == starts[pid]]


def execute(*command: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    return ("exec", "--recipe", "docs", *options, "--", *command)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "exit 125"), 125),
        (("sh", "-c", "kill -TERM $$"), 128 + 15),
        (("sh", "-c", "kill -KILL $$"), 128 + 9),
        (("no-such-command",), 127),
        (("/etc/passwd",), 126),
        (("/",), 126),
    ],
)
def test_exit_code_is_the_commands(
    home: Home, service: FakeService, command: tuple[str, ...], code: int
) -> None:
    """The command's exit code comes back; 128+n for a signal, 126 and 127 as in a shell."""
    ran = home.run(*execute(*command))
    assert ran.returncode == code, ran.stderr
    assert len(service.asked(*RELEASE)) == 1


def test_environment(home: Home, service: FakeService) -> None:
    """CMD has its own environment, the lease's, and no trace of an earlier lease."""
    extra = {
        "MINE": "kept",
        "OIDC_OP_URL": "of another lease",
        "OIDC_STORE_ID_TOKEN": "the app's own",
        "WARMINFRA_LEASE_OTHER": "of another lease",
    }
    report = "import json, os; print(json.dumps(dict(os.environ)))"
    ran = home.run(*execute(sys.executable, "-c", report), extra=extra)
    found = json.loads(ran.stdout)
    assert found["MINE"] == "kept"
    assert found["OIDC_STORE_ID_TOKEN"] == "the app's own"
    assert found["OIDC_RP_CLIENT_SECRET"] == CLIENT_SECRET
    assert (found["WARMINFRA_LEASE_ID"], found["WARMINFRA_LEASE_HANDLE"]) == (LEASE, HANDLE)
    assert "OIDC_OP_URL" not in found
    assert "WARMINFRA_LEASE_OTHER" not in found
    assert service.asked("POST", "/v1/leases")[0][2]["bind"] is True


def test_document_file_is_private_and_goes(home: Home, service: FakeService) -> None:
    """WARMINFRA_LEASE_FILE is the document, mode 0600, and is gone afterwards."""
    script = 'stat -c %a "$WARMINFRA_LEASE_FILE"; cat "$WARMINFRA_LEASE_FILE"'
    ran = home.run(*execute("sh", "-c", script))
    mode, _, text = ran.stdout.partition("\n")
    assert mode == "600"
    assert json.loads(text)["id"] == LEASE
    assert not list(home.runtime_dir.glob("lease-*"))


def test_a_killed_execs_file_is_removed_by_the_next(home: Home, service: FakeService) -> None:
    """What a killed `exec` left behind goes with the next one; a living one's stays."""
    stale = home.runtime_dir / "lease-1-1.json"
    stale.write_text("x")
    living = home.runtime_dir / f"lease-{os.getpid()}-{start_time(os.getpid())}.json"
    living.write_text("x")
    assert home.run(*execute("true")).returncode == 0
    assert (stale.exists(), living.exists()) == (False, True)


def test_nesting_is_refused(home: Home, service: FakeService) -> None:
    """`exec` inside `exec` is refused with 125 before anything is leased."""
    ran = home.run(*execute("true"), extra={"WARMINFRA_LEASE_ID": LEASE})
    assert ran.returncode == 125
    assert "unset WARMINFRA_LEASE_ID" in ran.stderr
    assert not service.requests


def test_waits_for_a_lease_with_the_same_key(home: Home, service: FakeService) -> None:
    """While there is no lease the same key is asked again; a lost reply changes nothing."""
    ticket = (202, {"reason": "the pool is empty", "place": 1, "retry_after_s": 0.02})
    busy = problem(503, "unreachable")
    service.script["POST", "/v1/leases"] = [ticket, "hang up", busy, (201, document())]
    assert home.run(*execute("true")).returncode == 0
    assert len({wish["key"] for _, _, wish, _ in service.asked("POST", "/v1/leases")}) == 1
    assert len(service.asked("POST", "/v1/leases")) == 4


def test_waiting_in_vain_is_125_with_the_reason(home: Home, service: FakeService) -> None:
    """No lease in time: 125, one line with the service's reason, and CMD never ran."""
    ticket = (202, {"reason": "the pool is empty", "place": 1, "retry_after_s": 0.02})
    service.script["POST", "/v1/leases"] = [ticket]
    ran = home.run(*execute("touch", "ran", options=("--wait", "100ms")))
    assert (ran.returncode, ran.stderr.count("\n")) == (125, 1)
    assert "the pool is empty" in ran.stderr
    assert not (home.path / "ran").exists()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_passed_on(home: Home, service: FakeService, name: str) -> None:
    """A signal to `exec` reaches CMD; its answer is the exit code, and the lease is released."""
    script = f"trap 'exit 42' {name}; echo ready; {FOREVER}"
    process = home.start(*execute("sh", "-c", script))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, f"SIG{name}"))
    process.communicate(timeout=30)
    assert process.returncode == 42
    assert service.asked(*RELEASE)


def start_family(home: Home, *rest: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start an `exec` whose command has a family; return it and everything below it."""
    there = home.path / "there"
    process = home.start(*execute(sys.executable, "-c", FAMILY, str(there), *rest))
    assert until(there.exists)
    return process, descendants(process.pid)


def test_nothing_outlives_a_killed_exec(home: Home, service: FakeService) -> None:
    """kill -9 of `exec` ends CMD, its children, those in other sessions, and daemons."""
    process, family = start_family(home)
    starts = {pid: start_time(pid) for pid in family}
    assert len(family) >= 6
    process.kill()
    process.communicate(timeout=30)
    assert until(lambda: ended(family, starts), 10)
    assert not list(home.runtime_dir.glob("lease-*"))


def test_nothing_outlives_a_killed_guard(home: Home, service: FakeService) -> None:
    """kill -9 of the guard ends CMD and its family as well; `exec` releases and says 137."""
    process, family = start_family(home)
    starts = {pid: start_time(pid) for pid in family}
    (guard,) = (pid for pid in family if parent(pid) == process.pid)
    os.kill(guard, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == 137
    assert ended(family, starts)
    assert service.asked(*RELEASE)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_background_children_end_with_the_command(home: Home, service: FakeService) -> None:
    """What CMD leaves running is killed before `exec` returns; the exit code stays CMD's."""
    there = home.path / "there"
    marker = f"left-over-{os.getpid()}"
    family = execute(sys.executable, "-c", FAMILY, str(there), "5")
    ran = home.run(*family, extra={"FAMILY": marker})
    assert ran.returncode == 5, ran.stderr
    assert not having(marker)


def having(marker: str) -> list[str]:
    """Return the processes with a variable of that value in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_children_of_the_process_before_are_spared(home: Home, service: FakeService) -> None:
    """`exec` that replaced a shell leaves that shell's own background jobs alone."""
    command = " ".join([*ARGV, *execute("true")])
    script = f"sleep 60 </dev/null >/dev/null 2>&1 & echo $!; exec {command}"
    ran = subprocess.run(
        ["sh", "-c", script],
        cwd=home.path,
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    sleeper = int(ran.stdout)
    assert (ran.returncode, start_time(sleeper) is not None) == (0, True)
    os.kill(sleeper, signal.SIGKILL)


def test_heartbeats_keep_the_lease(home: Home, service: FakeService) -> None:
    """The lease is renewed every quarter of its ttl with its handle, while CMD runs."""
    service.script["POST", "/v1/leases"] = [(201, document(ttl_s=0.2))]
    process = home.start(*execute("sleep", "60"))
    service.wait_for(*RENEW, count=3)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + 15
    assert {handle for *_, handle in service.asked(*RENEW)} == {HANDLE}


def test_a_lost_lease_ends_the_command_with_74(home: Home, service: FakeService) -> None:
    """When renewing answers 410, CMD gets TERM, and `exec` exits 74 with the reason."""
    service.script["POST", "/v1/leases"] = [(201, document(ttl_s=0.2))]
    service.script[RENEW] = [problem(410, "lease_lost", "its tenant was lost")]
    ran = home.run(
        *execute("sh", "-c", "trap 'echo told; exit 0' TERM; while :; do sleep 0.02; done")
    )
    assert (ran.returncode, ran.stdout) == (74, "told\n")
    assert "its tenant was lost" in ran.stderr


def test_an_absent_service_is_waited_for(home: Home) -> None:
    """Heartbeats outlast a restart of the service: one line when it goes, one when it is back."""
    with serving(home.runtime_dir) as fake:
        fake.script["POST", "/v1/leases"] = [(201, document(ttl_s=0.2))]
        process = home.start(*execute("sleep", "60"))
        fake.wait_for(*RENEW)
    assert process.stderr is not None
    assert "is not renewed yet" in process.stderr.readline()
    with serving(home.runtime_dir) as again:
        again.wait_for(*RENEW)
        assert "is renewed again" in process.stderr.readline()
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 128 + 15


def test_a_release_that_fails_is_told_and_changes_nothing(home: Home) -> None:
    """If the service is away at the end, `exec` says so in one line; the code is CMD's."""
    with serving(home.runtime_dir) as fake:
        process = home.start(*execute("sh", "-c", "read x < fifo; exit 3"))
        os.mkfifo(home.path / "fifo")
        fake.wait_for("POST", "/v1/leases")
        assert until(lambda: bool(list(home.runtime_dir.glob("lease-*"))))
    (home.path / "fifo").write_text("go\n")
    _, told = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "was not released" in told


def on_terminal(home: Home, script: str) -> tuple[int, int]:
    """Start an `exec` of a script on a terminal of its own; return its pid and the other end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.path)
        os.execve(  # noqa: S606 - a process on a new terminal is the point
            ARGV[0], [*ARGV, *execute("sh", "-c", script)], home.environment()
        )
    return pid, terminal


def test_ctrl_c_on_a_terminal_goes_to_the_command(home: Home, service: FakeService) -> None:
    """On a terminal CMD is in the foreground: it reads the keyboard, and Ctrl-C is for it."""
    script = f"trap 'echo interrupted; exit 9' INT; read line; echo got $line; {FOREVER}"
    pid, terminal = on_terminal(home, script)
    os.write(terminal, b"hello\n")
    assert "got hello" in read_until(terminal, "got hello")
    os.write(terminal, b"\x03")
    assert "interrupted" in read_until(terminal, "interrupted")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 9
    assert service.asked(*RELEASE)


def test_ctrl_z_stops_both_and_both_go_on(home: Home, service: FakeService) -> None:
    """Ctrl-Z stops CMD and `exec` together; when `exec` goes on, so does CMD, with its keyboard."""
    script = "echo ready; read line; echo got $line; exit 8"
    pid, terminal = on_terminal(home, script)
    assert "ready" in read_until(terminal, "ready")
    os.write(terminal, b"\x1a")
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(pid, signal.SIGCONT)
    os.write(terminal, b"hello\n")
    assert "got hello" in read_until(terminal, "got hello")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 8


def read_until(terminal: int, words: str) -> str:
    text = ""
    while words not in text and select.select([terminal], [], [], 30)[0]:
        try:
            text += os.read(terminal, 1024).decode()
        except OSError:
            break
    return text


def test_file_of_the_lease_is_0600_from_its_first_moment(home: Home, service: FakeService) -> None:
    """Even with a loose umask nobody else can read the document."""
    before = os.umask(0)
    try:
        process = home.start(*execute("sleep", "60"))
    finally:
        os.umask(before)
    assert until(lambda: bool(list(home.runtime_dir.glob("lease-*.json"))))
    (file,) = home.runtime_dir.glob("lease-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    process.terminate()
    process.communicate(timeout=30)
