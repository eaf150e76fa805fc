"""Getting the official distribution as files: found or fetched, checked, unpacked.

Invariant: nothing is unpacked whose SHA-256 is not the configured one, and no file with another
digest stays in the cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from warminfra.core.errors import ConfigInvalid, Unreachable
from warminfra.core.files import part_of, private_dir, storage
from warminfra.core.ports import Progress

_GROUP, _ARTIFACT = "org.keycloak", "keycloak-quarkus-dist"
_CHUNK = 1 << 20
_FETCH_TIMEOUT = 900.0
_SOURCES = "set keycloak.archive to the official tar.gz, or keycloak.home to an unpacked one"


def obtain_archive(
    *,
    version: str,
    sha256: str,
    configured: str,
    offline: bool,
    cache: Path,
    environ: Mapping[str, str],
    progress: Progress,
) -> Path:
    """Return the path of the checked tar.gz, in `cache`.

    Looked for in this order: the configured file, the cache, the local Maven repository, Maven.
    Raises `ConfigInvalid` for a wrong digest or, offline, for a missing archive.
    """
    kept = cache / f"sha256-{sha256}"
    if configured:
        source = Path(configured)
        if not source.is_file():
            raise ConfigInvalid(f"keycloak.archive = {configured!r} is no file", hint=_SOURCES)
        if not kept.exists() or file_digest(kept) != sha256:
            _keep(source, kept, sha256, "correct keycloak.sha256 or keycloak.archive")
        return kept
    if kept.exists():
        if file_digest(kept) == sha256:
            return kept
        kept.unlink()
    local = _local_repository(environ, version)
    if local.is_file():
        _keep(local, kept, sha256, f"remove {local}, or correct keycloak.sha256")
        return kept
    if offline:
        raise ConfigInvalid(f"Keycloak {version} is not here, and offline is set", hint=_SOURCES)
    progress(f"downloading Keycloak {version} with Maven")
    _fetch(version, kept, sha256, environ)
    return kept


def unpack(archive: Path, target: Path) -> None:
    """Unpack the one top folder of `archive` as `target`, which must not exist."""
    private_dir(target.parent)
    part = part_of(target)
    with storage(target):
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(part, filter="data")
            tops = list(part.iterdir())
            if len(tops) != 1 or not (tops[0] / "bin" / "kc.sh").is_file():
                raise ConfigInvalid(
                    f"{archive} is not a Keycloak distribution: it has no bin/kc.sh", hint=_SOURCES
                )
            tops[0].rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def tree_digest(home: Path) -> str:
    """Return the SHA-256 over names and contents of an unpacked distribution, build left out."""
    digest = hashlib.sha256()
    built = home / "lib" / "quarkus"
    for folder in ("lib", "providers", "themes"):
        for path in sorted((home / folder).rglob("*")):
            if path.is_file() and not path.is_relative_to(built):
                digest.update(f"{path.relative_to(home)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def _keep(source: Path, kept: Path, sha256: str, remedy: str) -> None:
    """Copy `source` to `kept` if its digest is right; leave nothing if not."""
    private_dir(kept.parent)
    part = part_of(kept)
    digest = hashlib.sha256()
    with storage(kept):
        try:
            with source.open("rb") as given, part.open("xb") as copy:
                while chunk := given.read(_CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            if digest.hexdigest() != sha256:
                raise ConfigInvalid(
                    f"{source} has SHA-256 {digest.hexdigest()}, expected {sha256}", hint=remedy
                )
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)


def _local_repository(environ: Mapping[str, str], version: str) -> Path:
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    folder = home / ".m2" / "repository" / _GROUP.replace(".", "/") / _ARTIFACT / version
    return folder / f"{_ARTIFACT}-{version}.tar.gz"


def _fetch(version: str, kept: Path, sha256: str, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH", ""))
    coordinates = f"{_GROUP}:{_ARTIFACT}:{version}:tar.gz"
    if maven is None:
        install = "apt-get install maven" if os.geteuid() == 0 else "have Maven installed"
        raise ConfigInvalid(
            f"Keycloak {version} is not here, and there is no mvn to get it",
            hint=f"{install}; or {_SOURCES}",
        )
    private_dir(kept.parent)
    folder = part_of(kept.with_name("maven"))
    with storage(kept):
        try:
            folder.mkdir(mode=0o700)
            # `copy` resolves as `get` does (mirrors and settings of the user included), and puts
            # the file where we ask.
            done = subprocess.run(
                [
                    maven,
                    "-q",
                    "-B",
                    "dependency:copy",
                    f"-Dartifact={coordinates}",
                    f"-DoutputDirectory={folder}",
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_FETCH_TIMEOUT,
                check=False,
            )
            found = list(folder.glob("*.tar.gz"))
            if done.returncode or not found:
                raise Unreachable(
                    f"mvn could not get {coordinates} (exit {done.returncode})",
                    hint=f"see: mvn dependency:get -Dartifact={coordinates}; or {_SOURCES}",
                )
            local = _local_repository(environ, version)
            _keep(found[0], kept, sha256, f"remove {local.parent}, or correct keycloak.sha256")
        except subprocess.TimeoutExpired:
            raise Unreachable(
                f"mvn did not get {coordinates} within {_FETCH_TIMEOUT:.0f} s", hint=_SOURCES
            ) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
