"""An optional pull-through mirror: a real registry on loopback, configured and watched by us.

It has one upstream; an engine asks it only for images of its default registry, and only once it is
named in the engine's `daemon.json`, which `install` does on request and `uninstall` undoes: our one
entry, nothing else in that file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from warminfra.core.errors import ConfigInvalid, Conflict, NoCapacity, Unreachable
from warminfra.core.files import file_lock, private_dir, storage, write_private

START_PATIENCE = 15.0
STOP_PATIENCE = 10.0
_MIRRORS = "registry-mirrors"

Alive = Callable[[int, int], bool]
"""Says whether the process of that number and start time runs."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """The mirror of `upstream` on loopback `port`, with its files below `folder`."""

    folder: Path
    upstream: str
    port: int
    program: str
    start_time: Callable[[int], int | None]
    """Start time of a process, by its number; None if there is none."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------ the server

    def start(self) -> bool:
        """Start it unless it runs, and wait until it answers; say whether it was started now.

        Raises `ConfigInvalid` (no upstream, no program), `Conflict` (the port is another's).
        """
        with file_lock(private_dir(self.folder) / "lock"):
            if self.pid() is not None:
                return False
            if not self.upstream:
                raise ConfigInvalid(
                    "there is no mirror", hint="set mirror.upstream to the registry to mirror"
                )
            program = shutil.which(self.program)
            if program is None:
                raise ConfigInvalid(
                    f"mirror.program {self.program!r} is not found",
                    hint="install Debian's docker-registry, or name the program",
                )
            if self.answers():
                raise Conflict(
                    f"something else answers at {self.url}", hint="set another mirror.port"
                )
            write_private(self.folder / "config.yml", self._config())
            self._spawn(program)
            return True

    def _spawn(self, program: str) -> None:
        with (
            storage(self.folder),
            open(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log,
        ):
            process = subprocess.Popen(
                [program, "serve", str(self.folder / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        write_private(self._pid_file, json.dumps([process.pid, self.start_time(process.pid)]))
        deadline = time.monotonic() + START_PATIENCE
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                raise Unreachable(
                    f"the mirror does not start: {last[0] if last else 'it said nothing'}",
                    hint=f"see {self._log}",
                )
            time.sleep(0.05)

    def stop(self) -> bool:
        """End it if it runs; what it has stored stays. Says whether it ran."""
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_PATIENCE
        while self.pid() is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += STOP_PATIENCE
            _reap(pid)
            time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)
        return True

    def watch(self) -> bool:
        """Start it again if it was started and has died; say whether it was."""
        if not self._pid_file.exists() or self.pid() is not None:
            return False
        return self.start()

    def pid(self) -> int | None:
        """Return its process, if that very process runs."""
        try:
            pid, started = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return int(pid) if started is not None and self.start_time(pid) == started else None

    def answers(self) -> bool:
        """Say whether a registry answers at its address."""
        try:
            return httpx.get(f"{self.url}/v2/", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def stored(self) -> int:
        """Return the bytes that it has stored."""
        files = (self.folder / "data").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def _config(self) -> str:
        settings = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}", "relativeurls": True},
            "proxy": {"remoteurl": self.upstream},
        }
        return json.dumps(settings)  # YAML reads JSON

    @property
    def _log(self) -> Path:
        return self.folder / "mirror.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "mirror.pid"


@dataclass(frozen=True, slots=True)
class EngineConfiguration:
    """The engine's `daemon.json`, in which it names its mirrors, and how it is told to look.

    `mirrors` asks the engine which ones it has: a change is done when it says so.
    """

    file: Path
    pid_file: Path
    mirrors: Callable[[], tuple[str, ...]]

    def install(self, url: str) -> bool:
        """Name the mirror first of all and have the engine look; False if it was there already."""
        settings = self._read()
        mirrors = list(settings.get(_MIRRORS, []))
        if _same(url) in map(_same, mirrors):
            return False
        self._write({**settings, _MIRRORS: [url, *mirrors]})
        self._reload(url, there=True)
        return True

    def uninstall(self, url: str) -> bool:
        """Take the mirror out again and have the engine look; False if it was not there."""
        settings = self._read()
        mirrors = list(settings.get(_MIRRORS, []))
        left = [other for other in mirrors if _same(other) != _same(url)]
        if left == mirrors:
            return False
        # An engine that reads its file again changes only what is named there: a list that is left
        # out stays what it was. So it reads an empty one first.
        self._write({**settings, _MIRRORS: left})
        self._reload(url, there=False)
        if not left:
            self._write({key: value for key, value in settings.items() if key != _MIRRORS})
        return True

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text() or "{}")
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigInvalid(f"{self.file}: {error}", hint="mend it by hand first") from None
        if not isinstance(found, dict):
            raise ConfigInvalid(f"{self.file}: no JSON object", hint="mend it by hand first")
        return found

    def _write(self, settings: dict[str, Any]) -> None:
        mode = self.file.stat().st_mode & 0o777 if self.file.exists() else 0o644
        write_private(self.file, json.dumps(settings, indent=2) + "\n")
        self.file.chmod(mode)

    def _reload(self, url: str, *, there: bool) -> None:
        """Have the engine look, and wait until it has, or has no more, the mirror."""
        try:
            os.kill(int(self.pid_file.read_text()), signal.SIGHUP)
        except (OSError, ValueError) as error:
            raise Unreachable(
                f"{self.file} is written, but no engine was told: {self.pid_file}: {error}",
                hint="restart the engine, or set engine.pid_file",
            ) from None
        deadline = time.monotonic() + STOP_PATIENCE
        while (_same(url) in map(_same, self.mirrors())) is not there:
            if time.monotonic() > deadline:
                raise NoCapacity("the engine did not take the change", hint="see its log")
            time.sleep(0.05)


def _same(url: str) -> str:
    return url.rstrip("/")


def _reap(pid: int) -> None:
    """Take the end of a child of ours; one of another process is not ours to take."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
