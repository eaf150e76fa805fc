"""Small images made for one test: a program that waits, and as many bytes as a test wants."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.registry import Registry
from warminfra.engine.pause import NAME, pause_program
from warminfra.images.lock import Wanted
from warminfra.images.reference import parse_reference


def make(
    engine: Engine, registry: Registry, name: str, tag: str, *, sizes: Sequence[int] = (200_000,)
) -> str:
    """Push an image whose layers have so many random bytes each; return its name at the gate.

    The engine keeps none of it.
    """
    pushed = f"{registry.address}/{name}:{tag}"
    with tempfile.TemporaryDirectory(prefix="warminfra-image-") as scratch:
        context = Path(scratch)
        program = context / NAME
        program.write_bytes(pause_program("linux/amd64"))
        program.chmod(0o755)
        lines = ["FROM scratch", f"COPY {NAME} /{NAME}"]
        for number, size in enumerate(sizes):
            (context / f"blob{number}").write_bytes(os.urandom(size))
            lines.append(f"COPY blob{number} /blob{number}")
        lines.append(f'ENTRYPOINT ["/{NAME}"]')
        _build(engine, context, lines, pushed)
    return at_gate(name, tag)


def make_zeros(engine: Engine, registry: Registry, name: str, tag: str, size: int) -> str:
    """Push an image with `size` zero bytes: next to nothing to download, all of it to unpack."""
    pushed = f"{registry.address}/{name}:{tag}"
    with tempfile.TemporaryDirectory(prefix="warminfra-image-") as scratch:
        with open(Path(scratch) / "zeros", "wb") as file:
            file.truncate(size)
        _build(engine, Path(scratch), ["FROM scratch", "COPY zeros /zeros"], pushed)
    return at_gate(name, tag)


def make_on(
    engine: Engine, registry: Registry, base: str, name: str, tag: str, size: int = 100_000
) -> str:
    """Push an image with one layer of its own on top of `base`, a name at the gate."""
    _, _, path = base.partition("/")
    pushed = f"{registry.address}/{name}:{tag}"
    with tempfile.TemporaryDirectory(prefix="warminfra-image-") as scratch:
        context = Path(scratch)
        (context / "top").write_bytes(os.urandom(size))
        _build(engine, context, [f"FROM {registry.address}/{path}", "COPY top /top"], pushed)
        engine.run("image", "rm", f"{registry.address}/{path}", check=False)
    return at_gate(name, tag)


def at_gate(name: str, tag: str) -> str:
    """Return the reference of an image through the gate."""
    from testbed.places import GATE_ADDRESS

    return f"{GATE_ADDRESS}/{name}:{tag}"


def wanted(*names: str) -> list[Wanted]:
    """Return what a recipe with these images wants."""
    return [Wanted(parse_reference(name), ("1.0.0/app",)) for name in names]


def blobs(gate: Gate) -> list[str]:
    """Return the blobs that were asked for since the gate was cleared."""
    return [r.path for r in gate.requests if "/blobs/" in r.path and r.method == "GET"]


def _build(engine: Engine, context: Path, lines: list[str], pushed: str) -> None:
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.run(
        *("build", "--quiet", "--tag", pushed, str(context)),
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    engine.run("push", "--quiet", pushed)
    engine.run("image", "rm", pushed)
    # Room for the next; a record that the engine is still letting go of is not in the way.
    engine.run("builder", "prune", "--all", "--force", check=False)
