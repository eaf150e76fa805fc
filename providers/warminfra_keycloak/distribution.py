"""Keycloak as files and as a command line.

Owns the built copies in the cache: `<cache>/keycloak/<version>-<key>/` with `home` (the built
distribution, shared by all instances and written by none of them) and `class-data` (what Java keeps
of a run for the next ones). Invariant: a build is there under its key whole or not at all, and its
key covers everything that went into it.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from warminfra.core.errors import ConfigInvalid
from warminfra.core.files import file_lock, part_of, private_dir, require_space, storage
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.ports import Progress
from warminfra.core.reach import LOOPBACK, FindReach, Reach
from warminfra.core.secret import Secret
from warminfra_keycloak import class_path, options, rehearsal, takeover
from warminfra_keycloak.archive import obtain_archive, tree_digest, unpack
from warminfra_keycloak.java import Java, find_java

DEFAULT_VERSION = "26.7.4"
KNOWN_DIGESTS = {
    DEFAULT_VERSION: "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee"
}
"""SHA-256 of the official tar.gz by version."""

_BUILD_TIMEOUT = 600.0
_BUILD_SPACE = 1 << 30
_HEALTH_TIMEOUT = 2.0
_LINKED = ("conf", "lib", "providers", "themes", "version.txt")
_CLASSES = "class-data"


class KeycloakDistribution:
    """The official distribution, built in a copy of our own and run by `java` directly.

    `settings` is the `[keycloak]` section: version, sha256, archive, home, java_home, offline,
    heap (bytes, or Java's form such as `512m`), transaction_timeout (seconds), outgoing; and
    short_lived, for a server that is to be ready soon and not to last. `environ` is looked at for
    `KEYCLOAK_HOME`, `JAVA_HOME`, `PATH` and `HOME`. `reach` tells where its servers listen and what
    they are called.
    """

    name = "keycloak"

    def __init__(
        self,
        settings: Mapping[str, Any],
        environ: Mapping[str, str] | None = None,
        reach: FindReach = Reach,
    ) -> None:
        self._reach = reach
        self._environ = os.environ if environ is None else environ
        self.version = str(settings.get("version") or DEFAULT_VERSION)
        self._archive = str(settings.get("archive") or "")
        home = str(settings.get("home") or "")
        if not home and not self._archive:
            home = self._environ.get("KEYCLOAK_HOME", "")
        self._home = Path(home) if home else None
        self._java_home = str(settings.get("java_home") or "")
        self._offline = bool(settings.get("offline", False))
        self._heap = str(settings.get("heap") or "512m")
        self._life = options.SHORT_LIVED if settings.get("short_lived") else options.LONG_LIVED
        self._outgoing = () if settings.get("outgoing", True) else options.NO_OUTGOING
        self._transaction_timeout = float(settings.get("transaction_timeout") or 60.0)
        self._sha256 = (
            _expected_digest(self.version, str(settings.get("sha256") or ""))
            if self._home is None
            else ""
        )

    # ------------------------------------------------------------ what it is made of

    @cached_property
    def java(self) -> Java:
        """Return the Java that runs it. Raises `ConfigInvalid` if there is none."""
        return find_java(self._java_home, self._environ)

    @cached_property
    def _source(self) -> str:
        """Digest of what is built: of the archive, or of the contents of a given home."""
        if self._home is None:
            return self._sha256
        told = self._home / "version.txt"
        found = re.search(r"\d+\.\d+\.\d+", told.read_text()) if told.is_file() else None
        if found is None or not (self._home / "bin" / "kc.sh").is_file():
            raise ConfigInvalid(
                f"{self._home} holds no Keycloak",
                hint="correct keycloak.home or KEYCLOAK_HOME, or unset it",
            )
        if found.group() != self.version:
            raise ConfigInvalid(
                f"{self._home} holds Keycloak {found.group()}, keycloak.version is {self.version}",
                hint="set keycloak.version to it, or unset keycloak.home and KEYCLOAK_HOME",
            )
        return tree_digest(self._home)

    def fingerprint(self) -> Mapping[str, str]:
        """Return digest, version, Java and effective options of a long-lived server; ports, paths
        and sizes left out."""
        told = "\n".join(
            (
                *options.BUILD,
                *options.JVM,
                class_path.JAR,
                *options.LONG_LIVED,
                *options.START,
                *self._outgoing,
                options.DATABASE,
                self._timeout_option,
            )
        )
        return {
            "keycloak.source": self._source,
            "keycloak.version": self.version,
            "keycloak.options": hashlib.sha256(told.encode()).hexdigest(),
            "database": "dev-file",
            "java.version": self.java.version,
            "java.vendor": self.java.vendor,
        }

    @property
    def _timeout_option(self) -> str:
        return f"--transaction-default-timeout={self._transaction_timeout * 1000:.0f}ms"

    # ------------------------------------------------------------ obtain

    def obtain(self, cache: Path, progress: Progress) -> Path:
        """Return the built home, building it the first time.

        Raises `ConfigInvalid` (no Java, wrong digest, offline), `Unreachable` (download failed) or
        `StorageFull`.
        """
        java = self.java
        told = (self._source, java.version, java.vendor, *options.BUILD, class_path.JAR)
        key = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
        builds = cache / "keycloak"
        build = builds / f"{self.version}-{key}"
        home = build / "home"
        if home.is_dir():
            return home
        with file_lock(
            builds / "lock", lambda: progress("waiting for another process that builds Keycloak")
        ):
            if not home.is_dir():
                self._make(build, cache / "downloads", progress)
        return home

    def _make(self, build: Path, downloads: Path, progress: Progress) -> None:
        for leftover in (*build.parent.glob(".*.part-*"), *downloads.glob(".*.part-*")):
            _remove(leftover)
        require_space(build.parent, _BUILD_SPACE)
        part = part_of(build)
        home = private_dir(part) / "home"
        try:
            progress(f"getting Keycloak {self.version}")
            if self._home is None:
                archive = obtain_archive(
                    version=self.version,
                    sha256=self._sha256,
                    configured=self._archive,
                    offline=self._offline,
                    cache=downloads,
                    environ=self._environ,
                    progress=progress,
                )
                unpack(archive, home)
            else:
                _copy_home(self._home, home)
            # What it says would be options beside ours.
            (home / "conf" / "keycloak.conf").unlink(missing_ok=True)
            progress(f"building Keycloak {self.version} (once, about 20 s)")
            self._build(home)
            with storage(home):
                class_path.write_jar(home)
            with storage(build):
                part.rename(build)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _build(self, home: Path) -> None:
        log = home.parent / "build.log"
        with storage(log), log.open("wb") as out:
            try:
                done = subprocess.run(
                    [home / "bin" / "kc.sh", "build", *options.BUILD],
                    env={
                        "PATH": self._environ.get("PATH") or os.defpath,
                        "JAVA_HOME": str(self.java.home),
                        "LC_ALL": "C.UTF-8",
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=_BUILD_TIMEOUT,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                done = -1
        if done:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            raise ConfigInvalid(
                f"building Keycloak {self.version} failed ({done}): {(lines or ['no output'])[-1]}",
                hint="see that the archive and Java are whole, and that the disk has room",
            )

    # ------------------------------------------------------------ run

    def command(
        self, home: Path, data: Path, ports: Mapping[str, int], bootstrap: Secret | None
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return argv and environment of a start on `data`; also lays out `data` (idempotent).

        Keycloak writes below its home, so each instance has a home of its own made of links. The
        first start, of which only data is wanted, is on loopback whatever the reach.
        """
        if bootstrap is None:
            java = (self.java.shares(home.parent / _CLASSES), *self._life)
            return self._command(home, data, ports, self._reach(), java)
        argv, environment = self._command(home, data, ports, Reach(), options.LONG_LIVED)
        first = {
            "KC_BOOTSTRAP_ADMIN_CLIENT_ID": takeover.BOOTSTRAP_CLIENT,
            "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": bootstrap.reveal(),
        }
        return argv, {**environment, **first}

    def rehearsal(
        self, home: Path, data: Path, ports: Mapping[str, int]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command of a run of which only the class data is wanted."""
        java = (self.java.records(data / _CLASSES), *options.LONG_LIVED)
        return self._command(home, data, ports, Reach(), java)

    def rehearse(self, ports: Mapping[str, int], bootstrap: Secret) -> None:
        """Take the server over, and make, use and unmake tenants."""
        url = Reach().base_url(ports["http"])
        rehearsal.rehearse(ServerAccess(url, {}), bootstrap)

    def _command(
        self,
        home: Path,
        data: Path,
        ports: Mapping[str, int],
        reach: Reach,
        java: Sequence[str],
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        own, scratch = data / "home", data / "tmp"
        with storage(data):
            own.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch.mkdir(mode=0o700, exist_ok=True)
            for name in _LINKED:
                _link(own / name, home / name)
        environment = {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            # glibc keeps one arena a thread otherwise: memory that the heap limit does not see.
            "MALLOC_ARENA_MAX": "2",
        }
        argv = (
            str(self.java.executable),
            "-Xms64m",
            f"-Xmx{self._heap}",
            *options.JVM,
            *java,
            f"-Djava.io.tmpdir={scratch}",
            f"-Duser.home={data}",
            f"-XX:ErrorFile={data / 'jvm-crash.log'}",
            f"-Dkc.home.dir={own}",
            f"-Djboss.server.config.dir={own / 'conf'}",
            "-cp",
            str(home / class_path.JAR),
            class_path.MAIN,
            "start",
            *options.START,
            *self._outgoing,
            *options.listening(reach, ports["http"], data),
            f"--http-management-port={ports['management']}",
            f"--db-url={options.DATABASE}",
            self._timeout_option,
        )
        return argv, environment

    def settle(self, home: Path, data: Path) -> None:
        """Keep the class data that a rehearsal left in `data`; later starts share it."""
        with storage(home):
            made = data / _CLASSES
            if made.exists():
                made.replace(home.parent / _CLASSES)

    @property
    def address(self) -> str:
        """The address on which browsers, tests and the service find it."""
        return self._reach().address

    def access(self, ports: Mapping[str, int], identity: Mapping[str, Secret]) -> ServerAccess:
        """Return the ways to it."""
        reach, port = self._reach(), ports["http"]
        return ServerAccess(
            reach.base_url(port), identity, reach.public_url(port), ca_file=reach.ca_file
        )

    def healthy(self, ports: Mapping[str, int]) -> bool:
        """Ask `/health/ready` on the management port."""
        connection = http.client.HTTPConnection(
            LOOPBACK, ports["management"], timeout=_HEALTH_TIMEOUT
        )
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def take_over(
        self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        """Re-key master and replace the bootstrap client by maker and looker."""
        return takeover.take_over(access, bootstrap, installation)


def _expected_digest(version: str, configured: str) -> str:
    known = KNOWN_DIGESTS.get(version, "")
    if version != DEFAULT_VERSION and configured == KNOWN_DIGESTS[DEFAULT_VERSION]:
        configured = ""  # the default of another version: nobody gave a digest for this one
    if not (configured or known):
        raise ConfigInvalid(
            f"no SHA-256 known for Keycloak {version}",
            hint="set keycloak.sha256 to the digest of its official tar.gz",
        )
    return configured or known


def _copy_home(source: Path, target: Path) -> None:
    """Copy an unpacked distribution, maybe read-only, as one that can be built in."""
    with storage(target):
        shutil.copytree(
            source,
            target,
            ignore=lambda folder, names: {"data"} & {*names} if Path(folder) == source else set(),
        )
        for folder, _, names in os.walk(target):
            Path(folder).chmod(0o700)
            for name in names:
                path = Path(folder, name)
                path.chmod(path.stat().st_mode | 0o600)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    part = part_of(link)
    part.symlink_to(target)
    part.replace(link)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
