"""Finding a Java that runs Keycloak.

The first that fits is taken: the configured one, `JAVA_HOME`, `PATH`, the system's folder of JVMs.
Nothing is written into it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from warminfra.core.errors import ConfigInvalid

MIN_MAJOR = 17
"""Keycloak 26 is compiled for Java 17."""

_SYSTEM_JVMS = Path("/usr/lib/jvm")
_HINT = "install one: apt-get install openjdk-17-jre-headless; or set keycloak.java_home"
_PROPERTY = re.compile(r"^\s*(java\.(?:vendor|runtime\.version|home)) = (.*?)\s*$", re.MULTILINE)
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that answered. `version` is its full runtime version, e.g. `17.0.15+6`."""

    home: Path
    version: str
    vendor: str

    @property
    def executable(self) -> Path:
        return self.home / "bin" / "java"

    @property
    def major(self) -> int:
        """Return the feature release: 17, 21, 25."""
        first = re.match(r"\d+", self.version)
        return int(first.group()) if first else 0


def find_java(configured: str, environ: Mapping[str, str], system: Path = _SYSTEM_JVMS) -> Java:
    """Return the Java to use. Raises `ConfigInvalid` with the remedy if there is none."""
    if configured:
        java = probe(Path(configured) / "bin" / "java")
        if java is None:
            raise ConfigInvalid(f"keycloak.java_home = {configured!r} holds no Java", hint=_HINT)
        if java.major < MIN_MAJOR:
            raise ConfigInvalid(
                f"keycloak.java_home = {configured!r} is Java {java.version},"
                f" Keycloak needs {MIN_MAJOR} or later",
                hint=_HINT,
            )
        return java
    seen = []
    for candidate in _candidates(environ, system):
        java = probe(candidate)
        if java is not None and java.major >= MIN_MAJOR:
            return java
        if java is not None:
            seen.append(f"{java.version} in {java.home}")
    raise ConfigInvalid(
        f"no Java {MIN_MAJOR} or later found" + (f", only {'; '.join(seen)}" if seen else ""),
        hint=_HINT,
    )


def probe(executable: Path) -> Java | None:
    """Run `executable` and return what it says of itself, None if it is no working Java."""
    if not os.access(executable, os.X_OK):
        return None
    try:
        told = subprocess.run(
            [executable, "-XshowSettings:properties", "-version"],
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = dict(_PROPERTY.findall(told.stderr.decode(errors="replace")))
    try:
        return Java(Path(found["java.home"]), found["java.runtime.version"], found["java.vendor"])
    except KeyError:
        return None


def _candidates(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(on_path)
    yield from sorted(system.glob("*/bin/java"), reverse=True)
