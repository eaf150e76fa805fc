"""One simulated pipeline: a process as a CI starts it, and how it ends.

Whatever leases writes its document into the simulation's folder, so that the judge knows what was
handed out, and when.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.installation import Installation

RECIPE = "lasuite-docs"
MARK = "PIPELINES_MARK"
PATIENCE = 240.0
"""Seconds that a pipeline waits for its lease, and we for a pipeline."""

WORK = 'cp "$WARMINFRA_LEASE_FILE" "$1.part"; mv "$1.part" "$1"; sleep "$2"'
"""What a pipeline does with its lease."""


@dataclass(slots=True)
class Pipeline:
    """What one did, and what it was told. Times are of the boot clock."""

    name: str
    kind: str
    installation: Installation
    folder: Path
    chance: random.Random
    began: float = 0.0
    ended: float = 0.0
    code: int = 0
    said: str = ""
    documents: list[dict[str, Any]] = field(default_factory=list)
    granted: float = 0.0
    """When its document was there; 0: never."""
    violations: list[str] = field(default_factory=list)

    @property
    def environment(self) -> Mapping[str, str]:
        """The pipeline's own variables, its secret among them."""
        return {
            **self.installation.env,
            MARK: self.name,
            "WARMINFRA_KEY": f"the-secret-of-{self.name}",
            "WARMINFRA_RUN": self.name,
            "WARMINFRA_RECIPE": RECIPE,
        }

    @property
    def key(self) -> Mapping[str, str]:
        return {"WARMINFRA_KEY": self.environment["WARMINFRA_KEY"]}

    def run(self) -> Pipeline:
        """Do all of it; a mishap of the simulation itself is a violation, too."""
        self.began = boot()
        try:
            KINDS[self.kind](self)
        except Exception as error:  # noqa: BLE001 - told with the others
            self.violations.append(f"{type(error).__name__}: {error}")
        self.ended = boot()
        return self

    # ------------------------------------------------------------ what pipelines are made of

    def file(self, number: int = 0) -> Path:
        return self.folder / f"{self.name}.{number}.json"

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env=dict(self.environment),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def exec(self, seconds: float, *before: str) -> subprocess.Popen[str]:
        work = ["sh", "-c", WORK, "sh", str(self.file()), f"{seconds:.2f}"]
        return self.start(*before, "warminfra", "exec", "--wait", f"{PATIENCE:g}s", "--", *work)

    def finish(self, process: subprocess.Popen[str]) -> None:
        """Wait for the end, noting when the document comes."""
        limit = boot() + PATIENCE + 30.0
        while process.poll() is None and boot() < limit:
            self.look()
            time.sleep(0.02)
        if process.poll() is None:
            self.violations.append("does not end")
            process.kill()
        _, said = process.communicate()
        self.code, self.said = process.returncode, self.said + said
        self.look()

    def look(self, number: int = 0) -> None:
        with suppress(FileNotFoundError):
            document = json.loads(self.file(number).read_text())
            if document not in self.documents:
                self.documents.append(document)
                self.granted = self.granted or boot()

    def pause(self, longest: float) -> None:
        """Wait, looking, for a drawn time."""
        until = boot() + self.chance.uniform(0.0, longest)
        while boot() < until:
            self.look()
            time.sleep(0.02)


def boot() -> float:
    """Return the seconds since the machine started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# ---------------------------------------------------------------- the kinds


def completes(one: Pipeline) -> None:
    """A pipeline that ends as it should."""
    one.finish(one.exec(one.chance.uniform(0.1, 1.5)))


def cancelled(one: Pipeline) -> None:
    """A person presses cancel: TERM at any moment, while it waits for a lease too."""
    process = one.exec(60.0)
    one.pause(6.0)
    process.terminate()
    one.finish(process)


def killed(one: Pipeline) -> None:
    """kill -9 of the command at any moment."""
    process = one.exec(60.0)
    one.pause(6.0)
    process.kill()
    one.finish(process)


def timed_out(one: Pipeline) -> None:
    """The CI's time limit: TERM, and KILL two seconds later."""
    limit = one.chance.uniform(1.0, 5.0)
    one.finish(one.exec(60.0, "timeout", "--kill-after=2", f"{limit:.2f}"))


def retried(one: Pipeline) -> None:
    """A step that leases is killed again and again, and tried again with the same key; the last
    step of the pipeline releases the run."""
    for number in range(4):
        last = number == 3
        file = one.file(number)
        options = ["--to", str(file), "-o", "json", "--wait", f"{PATIENCE:g}s"]
        process = one.start("warminfra", "lease", *options)
        if not last:
            with suppress(subprocess.TimeoutExpired):
                process.wait(one.chance.uniform(0.05, 1.5))
            process.kill()
        _, said = process.communicate(timeout=PATIENCE + 30.0)
        one.code, one.said = process.returncode, said
        one.look(number)
    one.pause(1.0)
    _release(one)


def abandoned(one: Pipeline) -> None:
    """A step leases for a short time, and nobody renews or releases."""
    process = one.start(
        "warminfra", "lease", "--ttl", "3s", "--to", str(one.file()), "--wait", f"{PATIENCE:g}s"
    )
    one.finish(process)


def orphaned(one: Pipeline) -> None:
    """A lease is bound to the runner's process, which is killed -9."""
    runner = subprocess.Popen(["sleep", "600"], env=dict(one.environment))
    process = one.start(
        "warminfra", "lease", "--bind-pid", str(runner.pid), "--to", str(one.file()),
        "--wait", f"{PATIENCE:g}s",
    )  # fmt: skip
    one.finish(process)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()


def _release(one: Pipeline) -> None:
    """Release the run; while the service is away, as often as it takes."""
    limit = boot() + PATIENCE
    while True:
        done = one.installation.run("release", "--run", one.name, env=one.key, check=False)
        if done.returncode != UNREACHABLE or boot() > limit:
            break
        time.sleep(0.3)
    if done.returncode:
        one.violations.append(f"release --run ended with {done.returncode}: {done.stderr}")


UNREACHABLE = 69

KINDS: Mapping[str, Callable[[Pipeline], None]] = {
    "completes": completes,
    "cancelled": cancelled,
    "killed": killed,
    "timed out": timed_out,
    "retried": retried,
    "abandoned": abandoned,
    "orphaned": orphaned,
}
WEIGHTS = {"completes": 4, "retried": 2}
"""How often a kind is drawn, if not once as often as the others."""
