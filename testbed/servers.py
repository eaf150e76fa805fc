"""A server that outlives the process that started it: begun once, adopted, ended by its pid.

Invariant: only a process that this folder's pid file names, with the start time it had, is ever
adopted or ended.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.installation import wait_until
from warminfra.core.files import write_private
from warminfra.core.models import ProcessRef
from warminfra.instances.processes import SystemProcesses, end, process_ref, reap

START_PATIENCE = 60.0
STOP_PATIENCE = 60.0

_children: list[subprocess.Popen[bytes]] = []
"""Those that this process started: Python warns of a child that runs and is forgotten."""


@dataclass(frozen=True)
class Server:
    """One server: its folder, how it is started, and how one sees that it answers."""

    name: str
    folder: Path
    command: Sequence[str]
    answers: Callable[[], bool]

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / f"{self.name}.log"

    def running(self) -> ProcessRef | None:
        """Return its process, if it lives."""
        try:
            ref = ProcessRef(*json.loads(self._pid_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return ref if SystemProcesses().alive(ref) else None

    def start(self) -> bool:
        """Start it unless it runs; wait until it answers. Says whether it was started now.

        Raises `RuntimeError` with its last words if it ends instead.
        """
        if self.running():
            wait_until(self.answers, START_PATIENCE, f"{self.name} that runs to answer")
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        _children.append(child)
        ref = process_ref(child.pid)
        if ref is not None:  # else it has ended already, which is told below
            write_private(self._pid_file, json.dumps([ref.pid, ref.start]))

        def up() -> bool:
            if child.poll() is not None:
                last = self.log.read_text(errors="replace")[-600:]
                raise RuntimeError(f"{self.name} ended with {child.returncode}: {last}")
            return self.answers()

        wait_until(up, START_PATIENCE, f"{self.name} to answer")
        return True

    def stop(self) -> None:
        """End it, if it runs, and wait for its end."""
        ref = self.running()
        if ref is None:
            return
        left = end([ref], grace=STOP_PATIENCE)
        reap(ref.pid)  # ours, if this process started it
        if left:
            raise RuntimeError(f"{self.name} (process {ref.pid}) does not end")

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid.json"
