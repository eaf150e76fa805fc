"""Runs the `warminfra` command as users do, in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ARGV = (sys.executable, "-m", "warminfra.cli")


@dataclass(frozen=True)
class Home:
    """A home with state, cache, configuration and runtime folders of one installation."""

    path: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def runtime_dir(self) -> Path:
        return self.path / "run" / "warminfra"

    @property
    def state_dir(self) -> Path:
        return self.path / "state" / "warminfra"

    def configure(self, text: str) -> None:
        """Write the user's configuration file."""
        file = self.path / "config" / "warminfra" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a command: nothing of this process's but the PATH and the like."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.path),
            "XDG_RUNTIME_DIR": str(self.path / "run"),
            "XDG_STATE_HOME": str(self.path / "state"),
            "XDG_CACHE_HOME": str(self.path / "cache"),
            "XDG_CONFIG_HOME": str(self.path / "config"),
            "WARMINFRA_DEBUG": "",
            **(extra or {}),
        }

    def start(
        self,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        program: Sequence[str] = ARGV,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command with pipes, or another program. It is killed at the latest with its
        home."""
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=self.path,
            env=self.environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        self.started.append(process)
        return process

    def run(
        self, *arguments: str, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command off a terminal."""
        return subprocess.run(
            [*ARGV, *arguments],
            cwd=self.path,
            env=self.environment(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


@contextmanager
def new_home() -> Iterator[Home]:
    """A home with a short path: a socket's takes no more than 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="wi-"))
    (path / "run").mkdir(mode=0o700)
    home = Home(path)
    try:
        yield home
    finally:
        for process in home.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(path)
