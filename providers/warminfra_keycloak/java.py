"""Finding a Java that runs Keycloak.

What is named is taken: the configured one, or that of `JAVA_HOME`. Else the newest that Keycloak is
released for, of those on `PATH` and in the system's folder of JVMs. Nothing is written into it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from warminfra.core.errors import ConfigInvalid

MIN_MAJOR = 17
"""Keycloak 26 is compiled for Java 17."""
NEWEST_MAJOR = 25
"""The newest that Keycloak 26.7 is released for."""
_AHEAD_OF_TIME = 25
"""The first that makes an ahead-of-time cache in one run (JEP 514), method profiles in it (515)."""

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

    def records(self, file: Path) -> str:
        """Return the option by which a run leaves its class data in `file` when it ends."""
        ahead = self.major >= _AHEAD_OF_TIME
        return f"-XX:{'AOTCacheOutput' if ahead else 'ArchiveClassesAtExit'}={file}"

    def shares(self, file: Path) -> str:
        """Return the option by which a run begins with the class data in `file`, if it fits."""
        ahead = self.major >= _AHEAD_OF_TIME
        return f"-XX:{'AOTCache' if ahead else 'SharedArchiveFile'}={file}"


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
    if home := environ.get("JAVA_HOME"):
        named = probe(Path(home) / "bin" / "java")
        if named is not None and named.major >= MIN_MAJOR:
            return named
        seen += [named]
    seen += [probe(candidate) for candidate in _candidates(environ, system)]
    found = [java for java in seen if java is not None]
    fit = [java for java in found if java.major >= MIN_MAJOR]
    if not fit:
        told = "; ".join(f"{java.version} in {java.home}" for java in found)
        raise ConfigInvalid(
            f"no Java {MIN_MAJOR} or later found" + (f", only {told}" if told else ""), hint=_HINT
        )
    return max(fit, key=lambda java: (java.major <= NEWEST_MAJOR, java.major))


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


def _candidates(environ: Mapping[str, str], system: Path) -> Iterable[Path]:
    """Return the executables on `PATH` and in `system`, each once."""
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    known = [Path(on_path)] if on_path else []
    known += sorted(system.glob("*/bin/java"), reverse=True)
    return {path.resolve(): path for path in known}.values()
