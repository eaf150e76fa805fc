"""Builds the images of the test recipes into the registry, once for each content.

    python -m testbed.image_builds [NAME…]

`testbed/images/NAME/` is one image: a Dockerfile, its context, and `image.toml` with the versions
that there are and the build arguments of each. The base is Debian, made by debootstrap. An image
is known by a digest of all that it is made from: if the registry has it, nothing is built, whatever
the engine has forgotten.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.engine import Engine, held
from testbed.places import GATE_ADDRESS
from testbed.registry import Registry
from warminfra_keycloak.archive import obtain_archive

FOLDER = Path(__file__).resolve().parent / "images"
SUITE = "bookworm"
BASE = "debian"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_EMPTIED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man")


@dataclass(frozen=True, slots=True)
class Image:
    """One version of one image."""

    name: str
    version: str
    arguments: Mapping[str, str]
    adds: tuple[Path, ...] = ()
    """Files and folders beside its own that its context holds too."""

    @property
    def reference(self) -> str:
        """What recipes name: through the gate."""
        return f"{GATE_ADDRESS}/{self.name}:{self.version}"

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    def key(self) -> str:
        """Return the digest of what it is made from."""
        found = hashlib.sha256(f"{SUITE} {self.version} {sorted(self.arguments.items())}".encode())
        for top in (self.folder, *self.adds):
            for path in sorted([top, *top.rglob("*")]):
                if path.is_file() and "__pycache__" not in path.parts:
                    name = path.relative_to(top.parent)
                    found.update(f"{name} {path.stat().st_mode & 0o111:o}\n".encode())
                    found.update(path.read_bytes())
        return f"made-from-{found.hexdigest()[:32]}"


def images(names: Iterable[str] = ()) -> Iterator[Image]:
    """Yield all images, or those named, in a stable order."""
    for name in sorted(names) or sorted(path.parent.name for path in FOLDER.glob("*/image.toml")):
        told = tomllib.loads((FOLDER / name / "image.toml").read_text())
        for version, arguments in told["versions"].items():
            adds = tuple(FOLDER.parent / path for path in told.get("adds", ()))
            yield Image(name, version, arguments, adds)


def build(engine: Engine, registry: Registry, names: Iterable[str] = ()) -> list[Image]:
    """Bring all images, or those named, into the registry; the engine keeps none of their tags."""
    found = list(images(names))
    for image in found:
        key = image.key()
        if not registry.has(image.name, key):
            print(f"building {image.name}:{image.version}", file=sys.stderr, flush=True)
            _build(engine, registry, image, f"{registry.address}/{image.name}:{key}")
        registry.retag(image.name, key, image.version)
    return found


def _build(engine: Engine, registry: Registry, image: Image, tag: str) -> None:
    with tempfile.TemporaryDirectory(prefix="warminfra-image-") as scratch:
        context = Path(scratch) / "context"
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(image.folder, context, ignore=skipped)
        for path in image.adds:
            if path.is_dir():
                shutil.copytree(path, context / path.name, ignore=skipped)
            else:
                shutil.copy(path, context)
        if image.name == "keycloak":
            _add_distribution(context, image)
        arguments = {"VERSION": image.version, **image.arguments, "BASE": base(engine, registry)}
        engine.run(
            *("build", "--quiet", "--network", "host", "--tag", tag),
            # The host's own authorities, for this build only: they stay in no layer.
            *("--secret", f"id=ca,src={_CERTIFICATES}"),
            *(
                part
                for name, text in arguments.items()
                for part in ("--build-arg", f"{name}={text}")
            ),
            str(context),
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
        )
        engine.run("push", "--quiet", tag)
        engine.run("image", "rm", tag)


def base(engine: Engine, registry: Registry) -> str:
    """Return the reference of the base image, made the first time."""
    tag = f"{registry.address}/{BASE}:{SUITE}"
    if not registry.has(BASE, SUITE):
        print("making the base image", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="warminfra-base-", dir="/var/tmp") as scratch:
            root = Path(scratch) / "root"
            command = ["/usr/sbin/debootstrap", "--variant=minbase", SUITE, str(root)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"debootstrap: {(done.stdout + done.stderr)[-600:]}")
            for path in _EMPTIED:
                for entry in (root / path).iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            archive = Path(scratch) / "root.tar"
            subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
            engine.run("import", str(archive), tag)
        engine.run("push", "--quiet", tag)
    return tag


def _add_distribution(context: Path, image: Image) -> None:
    """Lay the official archive into the context, checked by its digest."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    archive = obtain_archive(
        version=image.version,
        sha256=image.arguments["SHA256"],
        configured="",
        offline=False,
        cache=Path(cache) / "warminfra" / "downloads",
        environ=os.environ,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    shutil.copy(archive, context / f"keycloak-{image.version}.tar.gz")


def main(names: list[str]) -> None:
    """Build with the engine held, and say what there is."""
    with held() as (engine, registry):
        for image in build(engine, registry, names):
            print(image.reference)


if __name__ == "__main__":
    main(sys.argv[1:])
