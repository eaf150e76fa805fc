"""One round: runs at work, kills at random moments, a restart by `up`, and what must hold after.

The rules that are checked, times in seconds:
- A killed `exec`'s tenant is in teardown within 12 of the kill; if the service was dead, within 12
  of its being back (a dead process ends its lease at once, the grace period is for the living).
- A lease that nobody renews is in teardown within 10 of its deadline, or of the end of the grace
  that a restarted service gives (30, never more than the lease's own ttl).
- No process of a killed `exec` lives on, daemons included.
- Within 15 beyond Keycloak's own start every object has a row and no row lies; then the backlog of
  teardowns drains.
- A run is not disturbed by the death of another's `exec`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.installation import Installation
from testbed.relying_party import free_port
from testbed.soak.judge import Judge
from testbed.soak.watch import KeycloakStarts, LedgerFile, boot, marked
from warminfra.core.errors import WarminfraError
from warminfra.core.secret import Secret

CONVERGENCE = 15.0
EXEC_TEARDOWN = 12.0
HOLDER_TEARDOWN = 10.0
LAST_BREATH = 3.0
"""Seconds in which the kernel and the guard end what a killed `exec` had below it."""
PATIENCE = 180.0
"""Longest wait for anything; what takes longer is a violation."""

RECIPE = "lasuite-docs"
RUN = Path(__file__).with_name("run_login.py")
SHORT_TTL = 2.0
MOMENTS = 5.0
"""Kills fall within so many seconds of the runs' start: wait, login, logout, release."""

KILLS: tuple[tuple[str, ...], ...] = (
    ("exec",),
    ("service",),
    ("keycloak",),
    ("exec", "service"),
    ("service", "keycloak"),
    ("exec", "keycloak"),
    ("exec", "service", "keycloak"),
)


UNDISTURBED: dict[tuple[str, ...], tuple[int, ...]] = {("exec",): (0,), ("service",): (0, 125)}
"""Exit codes of a run whose own `exec` lives, by what was killed: the service may be away too long
for a run that has no lease yet (125), but never disturbs one that has."""


@dataclass(slots=True)
class Outcome:
    """What a round measured. Seconds."""

    number: int
    killed: tuple[str, ...]
    convergence: float = 0.0
    """Beyond Keycloak's own start."""
    start: float = 0.0
    """Keycloak's own start, if it was killed."""
    drain: float = 0.0
    exec_teardown: float | None = None
    holder_teardown: float | None = None
    codes: tuple[int, ...] = ()
    violations: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the round in one line."""
        told = f"{self.number:>3}  {'+'.join(self.killed):<24} converged {self.convergence:5.1f} s"
        told += f" (Keycloak {self.start:4.1f} s)  drained {self.drain:5.1f} s"
        return told + "".join(f"\n     VIOLATION: {wrong}" for wrong in self.violations)


@dataclass(slots=True)
class Exec:
    """One `warminfra exec` at work. Times are of the boot clock."""

    mark: str
    process: subprocess.Popen[str]
    killed: float = 0.0
    torn_down: float = 0.0


@dataclass(slots=True)
class Round:
    """Runs once."""

    installation: Installation
    judge: Judge
    chance: random.Random
    outcome: Outcome
    execs: list[Exec] = field(default_factory=list)
    _begun: float = 0.0
    _last_kill: float = 0.0
    _back: float = 0.0
    """When the killed service answered again."""
    _holder: dict[str, Any] = field(default_factory=dict)
    _holder_ended: float = 0.0
    _up: subprocess.Popen[str] | None = None
    _starts: KeycloakStarts = field(init=False)
    _ledger: LedgerFile = field(init=False)

    def __post_init__(self) -> None:
        self._starts = KeycloakStarts(self.installation)
        self._ledger = LedgerFile(self.installation)

    def run(self) -> Outcome:
        """Do it; what went wrong is in the outcome."""
        self.judge.remember_roles()
        self._starts.tick()
        self._begun = boot()
        self._begin()
        self._kill_all()
        self._converge()
        self._finish()
        for one in self.execs:
            self._judge_exec(one)
        self._judge_holder()
        self._drain()
        self.outcome.codes = tuple(one.process.returncode for one in self.execs)
        return self.outcome

    # ------------------------------------------------------------ at work

    def _begin(self) -> None:
        """Two runs, and a holder that dies: it takes a short lease and never renews it."""
        with self.installation.client() as client, suppress(WarminfraError):
            self._holder = client.acquire(RECIPE, ttl=SHORT_TTL, wait=30.0)
            self.judge.held.append(self._holder)
        for _ in range(2):
            self.execs.append(self._exec())

    def _exec(self) -> Exec:
        mark, port = f"soak-{uuid.uuid4().hex}", free_port()
        options = ["--recipe", RECIPE, "--run", mark, "--domain", f"127.0.0.1:{port}"]
        # A long traceback shows arguments, the password among them: the run's own words, not ours.
        quiet = ["-q", "--tb=short", "-p", "no:cacheprovider"]
        python = [sys.executable, "-m", "pytest", *quiet, str(RUN)]
        words = (self.installation.folder / f"{mark}.out").open("w")
        with words:
            process = self.installation.start(
                ["exec", *options, "--wait", "90s", "--", *python],
                env={
                    "SOAK_MARK": mark,
                    "SOAK_PORT": str(port),
                    "SOAK_DOCUMENTS": str(self.judge.documents),
                },
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        return Exec(mark, process)

    def _kill_all(self) -> None:
        """Kill each victim at a moment of its own, in random order."""
        moments = [(self.chance.uniform(0.0, MOMENTS), victim) for victim in self.outcome.killed]
        for moment, victim in sorted(moments):
            self._watch_until(self._begun + moment)
            if victim == "exec":
                one = self.execs[0]
                os.kill(one.process.pid, signal.SIGKILL)
                one.killed = boot()
                one.process.wait()
            elif victim == "service":
                self.installation.kill_service()
                self._up = self.installation.start(
                    ["up"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
            else:
                self.installation.kill_keycloak()
            self._last_kill = boot()

    def _watch_until(self, moment: float) -> None:
        while boot() < moment:
            self._look()
            time.sleep(0.05)

    def _look(self) -> None:
        """Note what has happened since the last look."""
        if "keycloak" in self.outcome.killed:
            self._starts.tick()
        if "service" in self.outcome.killed and self._last_kill and not self._back:
            with suppress(WarminfraError), self.installation.client() as client:
                client.leases()
                self._back = boot()
        for one in self.execs:
            if one.killed and not one.torn_down:
                rows = self._ledger.of_run(one.mark)
                if all(row.ended for row in rows):
                    one.torn_down = boot()
        if self._holder and not self._holder_ended:
            row = self._ledger.row(self._holder["id"])
            if row is not None and row.ended:
                self._holder_ended = boot()

    # ------------------------------------------------------------ afterwards

    def _converge(self) -> None:
        """Wait until nothing lies any more; with `up` done if the service was killed."""
        limit = self._last_kill + PATIENCE
        found: list[str] = ["the service or its server is not back"]
        while found and boot() < limit:
            self._look()
            time.sleep(0.05)
            if self._serving():
                with suppress(WarminfraError):
                    found = self.judge.lies()
        now = boot()
        if found:
            self._violated(f"no convergence in {PATIENCE:.0f} s: {'; '.join(found)}")
        if "keycloak" in self.outcome.killed:
            self._starts.tick()
            self.outcome.start = self._starts.last()
        self.outcome.convergence = now - self._last_kill - self.outcome.start
        if self.outcome.convergence > CONVERGENCE:
            self._violated(f"converged {self.outcome.convergence:.1f} s beyond Keycloak's start")

    def _serving(self) -> bool:
        if self._up is not None and self._up.poll() is None:
            return False
        with suppress(WarminfraError), self.installation.client() as client:
            return client.ready()
        return False

    def _finish(self) -> None:
        """Let the runs that were not killed come to their end, and the watched leases to theirs."""
        if self._up is not None:
            _, words = self._up.communicate()
            if self._up.returncode:
                self._violated(f"`up` ended with {self._up.returncode}: {words.strip()}")
        limit = boot() + PATIENCE
        while boot() < limit and (
            any(one.process.poll() is None for one in self.execs)
            or any(one.killed and not one.torn_down for one in self.execs)
            or (self._holder and not self._holder_ended)
        ):
            self._look()
            time.sleep(0.02)

    def _judge_exec(self, one: Exec) -> None:
        if one.process.poll() is None:
            self._violated("an exec does not end")
            one.process.kill()
            one.process.wait()
        if one.killed:
            since = max(one.killed, self._back)
            if not one.torn_down:
                self._violated("the tenant of a killed exec is not in teardown")
            else:
                self.outcome.exec_teardown = max(0.0, one.torn_down - since)
                if one.torn_down - since > EXEC_TEARDOWN:
                    late = one.torn_down - since
                    self._violated(f"teardown {late:.1f} s after exec's death (or the restart)")
        elif one.process.returncode not in UNDISTURBED.get(self.outcome.killed, range(256)):
            self._violated(
                f"a run that was not to be disturbed ended with {one.process.returncode}"
            )
        limit = boot() + LAST_BREATH
        while (left := marked(one.mark)) and boot() < limit:
            time.sleep(0.02)
        if left:
            self._violated(f"processes {left} of an exec live on")
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _judge_holder(self) -> None:
        if not self._holder:
            return
        if not self._holder_ended:
            self._violated("a lease that nobody renews is not in teardown")
            return
        row = self._ledger.row(self._holder["id"])
        assert row is not None
        late = self.outcome.holder_teardown = max(0.0, self._holder_ended - row.deadline)
        if late > HOLDER_TEARDOWN:
            self._violated(f"teardown {late:.1f} s after the deadline of a dead holder")

    def _drain(self) -> None:
        """Wait until all teardowns are done and the pool is full; then look once more."""
        begun = boot()
        ready = 0
        while boot() - begun < PATIENCE:
            ready = self._ledger.counts().get("ready", 0)
            if self.judge.settled() and ready >= 2:
                break
            time.sleep(0.1)
        else:
            self._violated(f"not drained: {self._ledger.counts()}")
        self.outcome.drain = boot() - begun
        self.outcome.violations += self.judge.lies()
        self.outcome.violations += self.judge.left_roles()
        self.outcome.violations += self.judge.doubles()
        self.outcome.violations += self.judge.orphans()

    def _violated(self, what: str) -> None:
        self.outcome.violations.append(what)


@dataclass(slots=True)
class Acknowledged:
    """Keycloak dies right after it has acknowledged creates and deletes."""

    installation: Installation
    judge: Judge
    chance: random.Random
    outcome: Outcome

    def run(self) -> Outcome:
        """Take and return leases, kill at the n-th acknowledged change, see what it comes to."""
        ledger, starts = LedgerFile(self.installation), KeycloakStarts(self.installation)
        self.judge.remember_roles()
        starts.tick()
        kept = self._take_and_return()
        kind, number = self.chance.choice(("gone", "ready")), self.chance.randint(1, 3)
        wanted = ledger.counts().get(kind, 0) + number
        limit = boot() + 10.0
        while boot() < limit and ledger.counts().get(kind, 0) < wanted:
            time.sleep(0.001)
        self.installation.kill_keycloak()
        killed = boot()
        found = ["the server is not back"]
        while found and boot() < killed + PATIENCE:
            time.sleep(0.05)
            starts.tick()
            if self._ready():
                with suppress(WarminfraError):
                    found = self.judge.lies()
        starts.tick()
        self.outcome.start = starts.last()
        self.outcome.convergence = boot() - killed - self.outcome.start
        self.outcome.violations += found
        if self.outcome.convergence > CONVERGENCE:
            self.outcome.violations.append(f"converged in {self.outcome.convergence:.1f} s")
        self._settle(kept, ledger)
        return self.outcome

    def _take_and_return(self) -> list[dict[str, Any]]:
        """Lease three tenants, give one or two back; return what is still held."""
        with self.installation.client() as client:
            taken = [
                client.acquire(RECIPE, domain=f"a{n}.example.test", wait=60.0) for n in range(3)
            ]
            self.judge.held.extend(taken)
            back = self.chance.randint(1, 2)
            for document in taken[:back]:
                client.release(document["id"], Secret(document["handle"]))
        return taken[back:]

    def _ready(self) -> bool:
        with suppress(WarminfraError), self.installation.client() as client:
            return client.ready()
        return False

    def _settle(self, kept: Sequence[dict[str, Any]], ledger: LedgerFile) -> None:
        begun = boot()
        with self.installation.client() as client:
            for document in kept:
                client.release(document["id"], Secret(document["handle"]))
        while boot() - begun < PATIENCE:
            if self.judge.settled() and ledger.counts().get("ready", 0) >= 2:
                break
            time.sleep(0.05)
        else:
            self.outcome.violations.append(f"not drained: {ledger.counts()}")
        self.outcome.drain = boot() - begun
        judge = self.judge
        for look in (judge.lies, judge.left_roles, judge.doubles, judge.orphans):
            self.outcome.violations += look()
