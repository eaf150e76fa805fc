"""The checks of `doctor`: each looks at one thing and finds ok, warn or fail, with the remedy."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from warminfra.cli import session
from warminfra.config import Settings
from warminfra.core.errors import Unreachable, WarminfraError
from warminfra.core.models import JsonObject

JAVA_LEAST = 17
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `level` is ok, warn or fail; `remedy` is empty if all is well."""

    level: str
    check: str
    found: str
    remedy: str = ""

    def row(self) -> JsonObject:
        return asdict(self)

    def line(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.level:<4} {self.check}: {self.found}{remedy}"


def python() -> Finding:
    """Which Python runs us; the package itself demands the version."""
    return Finding("ok", "python", f"{platform.python_version()} at {sys.executable}")


def kernel() -> Iterator[Finding]:
    """What `exec` and the launcher need of the kernel."""
    try:
        os.close(os.pidfd_open(os.getpid()))
        yield Finding("ok", "kernel", f"{platform.release()}, pidfd")
    except (OSError, AttributeError) as error:
        yield Finding("warn", "kernel", f"no pidfd: {error}", "use Linux 5.3 or newer")
    from warminfra.cli.subreaper import prctl

    try:
        prctl(1, 0)  # clears a parent-death signal that is not set
        yield Finding("ok", "prctl", "parent-death signal")
    except OSError as error:
        yield Finding("fail", "prctl", str(error), "allow prctl: exec must end its children")


def clock() -> Finding:
    """The boot clock and the boot id, on which deadlines count."""
    from warminfra.core.clock import SystemClock

    try:
        found = SystemClock()
        return Finding("ok", "clock", f"boot {found.boot_id()[:8]}, up {found.boot():.0f} s")
    except OSError as error:
        return Finding("fail", "clock", str(error), "mount /proc: deadlines need the boot id")


def host(settings: Settings) -> Iterator[Finding]:
    """What a warm instance needs of the host."""
    if settings.keycloak.url:
        yield Finding("ok", "instance", f"external server {settings.keycloak.url}")
    else:
        yield _java(settings)
        yield _memory(settings)
        yield _cache(settings)
    yield _disk(settings)
    if settings.reach.mode == "host" and not settings.keycloak.url:
        told = "plain HTTP on loopback: containers and other hosts do not reach the server"
        yield Finding("warn", "reach", "host", told)
    elif not settings.keycloak.url:
        told = "`warminfra doctor reach` looks from a container"
        yield Finding("ok", "reach", f"{settings.reach.mode}; {told}")


def _java(settings: Settings) -> Finding:
    home = settings.keycloak.java_home
    command = str(home / "bin" / "java") if home else shutil.which("java")
    remedy = f"install a JRE {JAVA_LEAST} or newer, or set keycloak.java_home"
    if command is None:
        return Finding("fail", "java", "not found on PATH", remedy)
    try:
        ran = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("fail", "java", f"{command}: {error}", remedy)
    match = re.search(r'version "(\d+)', ran.stderr)
    if match is None:
        return Finding("fail", "java", f"{command} does not tell its version", remedy)
    level = "ok" if int(match.group(1)) >= JAVA_LEAST else "fail"
    return Finding(level, "java", f"{match.group(1)} at {command}", "" if level == "ok" else remedy)


def _memory(settings: Settings) -> Finding:
    limit = settings.keycloak.memory_limit
    text = Path("/proc/meminfo").read_text()
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    available = int(match.group(1)) * 1024 if match else 0
    found = f"{available // _MIB} MiB available, an instance may take {limit // _MIB} MiB"
    if available >= limit:
        return Finding("ok", "memory", found)
    remedy = "fine if the instance runs already; else free memory or lower keycloak.memory_limit"
    return Finding("warn", "memory", found, remedy)


def _cache(settings: Settings) -> Finding:
    cache, keycloak = settings.service.cache_dir, settings.keycloak
    given = keycloak.home or keycloak.archive
    if given is not None:
        if given.exists():
            return Finding("ok", "cache", f"distribution given: {given}")
        return Finding("fail", "cache", f"{given} is not there", "correct keycloak.home or archive")
    if cache.is_dir() and any(cache.iterdir()):
        return Finding("ok", "cache", f"{cache}")
    if keycloak.offline:
        remedy = "name the distribution with keycloak.archive, or allow one download"
        return Finding("warn", "cache", f"{cache} is empty and keycloak.offline is set", remedy)
    return Finding("warn", "cache", f"{cache} is empty", "the first `warminfra up` fills it")


def _disk(settings: Settings) -> Finding:
    reserve = settings.service.disk_reserve
    folder = settings.service.state_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free // _MIB} MiB free at {folder}, reserve {reserve // _MIB} MiB"
    remedy = "free space: below the reserve there are no new leases"
    if free < reserve:
        return Finding("fail", "disk", found, remedy)
    if free < 2 * reserve:
        return Finding("warn", "disk", found, remedy)
    return Finding("ok", "disk", found)


def service(settings: Settings) -> Iterator[Finding]:
    """The sockets, the service behind them, and the provider behind that."""
    runtime_dir = settings.service.runtime_dir
    yield from _sockets(runtime_dir, bool(settings.service.group))
    try:
        with session.client(timeout=5.0) as client:
            found = client.status()
            ready = client.ready()
    except Unreachable as error:
        yield Finding("warn", "service", error.message, error.hint)
        return
    except WarminfraError as error:
        yield Finding("fail", "service", error.message, error.hint)
        return
    yield Finding("ok", "service", f"version {found['version']}, pid {found['pid']}")
    for row in found["instances"]:
        level = "ok" if row["state"] in ("ready", "parked") else "warn"
        doing = f"{row['id']} {row['state']}" + (f": {row['note']}" if row["note"] else "")
        remedy = "" if level == "ok" else "wait, or see the service's log"
        yield Finding(level, "provider", f"{doing} {row['url']}".rstrip(), remedy)
    if not ready:
        remedy = "wait for it: warminfra up"
        yield Finding("fail", "lease", "no lease is possible now", remedy)
    for warning in found["warnings"]:
        yield Finding("warn", "sharing", warning)


def engine(settings: Settings) -> Iterator[Finding]:
    """The container engine: only those who warm images or own stacks need one."""
    from warminfra.engine.connection import engine_host

    host = engine_host(settings.engine.host)
    try:
        from warminfra.engine.images import DockerImages

        found = DockerImages(host).facts()
    except WarminfraError as error:
        remedy = f"{error.hint}; needed only for images and stacks"
        yield Finding("warn", "engine", error.message, remedy)
        return
    yield Finding("ok", "engine", f"Docker {found.version}, {found.platform}, at {host}")
    if found.swarm_manager:
        yield Finding("ok", "swarm", "this node is a manager")
    else:
        remedy = "`docker swarm init`; needed only to deploy and own stacks"
        yield Finding("warn", "swarm", "this node is no Swarm manager", remedy)


def _sockets(runtime_dir: Path, group: bool) -> Iterator[Finding]:
    allowed = {"run.sock": 0o660 if group else 0o600, "admin.sock": 0o600}
    for name, most in allowed.items():
        path = runtime_dir / name
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except OSError:
            continue  # the service does not run, and that is told by itself
        if mode & ~most:
            remedy = f"chmod {most:o} {path}"
            yield Finding("fail", "sockets", f"{path} has mode {mode:o}", remedy)
        else:
            yield Finding("ok", "sockets", f"{path} has mode {mode:o}")
    if runtime_dir.is_dir() and stat.S_IMODE(runtime_dir.stat().st_mode) & 0o022:
        remedy = f"chmod go-w {runtime_dir}"
        yield Finding("fail", "sockets", f"{runtime_dir} is writable for others", remedy)
