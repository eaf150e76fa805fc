"""Asks the engine's own client to merge and interpolate (`docker stack config`), where it can.

No engine needs to run. The environment goes by the process's environment, never by argument.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from warminfra.recipes.located import Table, YamlBroken, load

TIMEOUT = 60.0
_LOG_LINE = re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$')


class Refused(Exception):
    """The engine's client refuses the files; the message is its own."""


@lru_cache
def client() -> str | None:
    """Return the path of a docker client that has `stack config` (25 or newer), if there is one."""
    found = shutil.which("docker")
    if found is None:
        return None
    try:
        done = subprocess.run(
            [found, "stack", "config", "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if done.returncode == 0 and "merges and interpolations" in done.stdout else None


def stack_config(
    program: str, folder: Path, files: Sequence[str], environment: Mapping[str, str]
) -> Table:
    """Return what the files in `folder` say together. Raises `Refused`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    arguments = [part for file in files for part in ("--compose-file", str(folder / file))]
    try:
        done = subprocess.run(
            [program, "stack", "config", *arguments],
            env={**environment, **kept},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Refused(f"docker stack config: {type(error).__name__}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not _LOG_LINE.match(line)]
        raise Refused(" ".join(said) or f"docker stack config ended with {done.returncode}")
    try:
        return load(done.stdout, "docker stack config")[0]
    except YamlBroken as error:
        raise Refused(str(error)) from None
