"""The warm image set: what a pre-pull costs, and what it saves at the first deploy.

`images`: all images of the reference recipes, by a pre-pull and by one `docker pull` after the
other, from one registry through one limited line, in turns; the floor is bytes ÷ bandwidth. Beside
them the largest image alone: no pre-pull ends before that is here and unpacked.
`deploy`: the first deploy of a stack with everything cold, pre-pulled, by a mirror that has it, by
both; the line to the registry is limited, loopback is not.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import mark
from benchmarks.report import Line, Result, line_p50, line_ratio
from testbed.engine import Engine, held
from testbed.gate import Gate
from testbed.image_builds import build
from testbed.installation import wait_until
from testbed.places import GATE_ADDRESS
from testbed.registry import Registry
from warminfra.cli.processes import start_time
from warminfra.engine.images import DockerImages
from warminfra.engine.stacks import DockerStacks
from warminfra.images.credentials import Credentials
from warminfra.images.holding import Store
from warminfra.images.lock import Lock, Wanted, overlay
from warminfra.images.mirror import EngineConfiguration, Mirror
from warminfra.images.pull import PrePull
from warminfra.images.reference import parse_reference
from warminfra.images.registry import Registry as Client
from warminfra.images.resolve import resolve
from warminfra.images.retention import release

BANDWIDTH = 25 << 20
"""Bytes a second of the line to the registry: 200 Mbit/s."""

MIRROR_PORT = 5079
STACK = "bench"
ARMS = ("cold", "pre-pulled", "mirror", "both")


@dataclass(frozen=True)
class Course:
    """One engine, one registry behind a limited line, and names to pull."""

    engine: Engine
    registry: Registry
    gate: Gate
    images: DockerImages
    folder: Path

    def client(self) -> Client:
        """Return a client with an empty cache: every look-up is paid for."""
        cache = Path(tempfile.mkdtemp(dir=self.folder))
        return Client(self.images.facts(), Credentials(), cache)

    def lock(self, names: list[str]) -> Lock:
        client = self.client()
        try:
            return resolve("bench", [Wanted(parse_reference(name)) for name in names], client, None)
        finally:
            client.close()

    def clean(self) -> None:
        """Have the engine hold no image at all."""
        release(self.images, Store(self.folder), "bench")
        self.engine.forget_images()
        os.sync()  # the next arm is not to wait for what this one leaves to be written

    def bytes(self, lock: Lock) -> int:
        """Return the compressed bytes of all layers, each once: what must cross the line."""
        client = self.client()
        platform = self.images.facts().platform
        layers = {
            layer.digest: layer.size
            for entry in lock.images
            for layer in client.content(entry.bound, platform).layers
        }
        client.close()
        return sum(layers.values())

    # ------------------------------------------------------------ the arms

    def pre_pull(self, lock: Lock) -> float:
        """Pull all that is locked; return the seconds, look-ups and pins included."""
        client = self.client()
        begun = time.monotonic()
        PrePull(self.images, client, Store(self.folder)).run("bench", lock, deadline=3600.0)
        spent = time.monotonic() - begun
        client.close()
        return spent

    def one_by_one(self, names: list[str]) -> float:
        """`docker pull` of each, one after the other."""
        begun = time.monotonic()
        for name in names:
            self.engine.run("pull", "--quiet", name)
        return time.monotonic() - begun


@contextmanager
def course() -> Iterator[Course]:
    """Hold engine and registry, and open the line."""
    with (
        held() as (engine, registry),
        Gate.opened(registry.address) as gate,
        tempfile.TemporaryDirectory(prefix="warminfra-bench-") as folder,
    ):
        images = DockerImages(engine.host)
        made = Course(engine, registry, gate, images, Path(folder))
        try:
            yield made
        finally:
            gate.clear()
            made.clean()
            images.close()


def run(quick: bool) -> Result:
    """Pre-pull against one-by-one, in turns."""
    result = Result("images")
    with course() as at:
        names = [image.reference for image in build(at.engine, at.registry)]
        lock = at.lock(names)
        size = at.bytes(lock)
        floor = size / BANDWIDTH
        largest = max(names, key=lambda name: at.bytes(at.lock([name])))
        ours: list[float] = []
        theirs: list[float] = []
        alone: list[float] = []
        arms: list[tuple[str, Callable[[], float], list[float]]] = [
            ("pre-pull", lambda: at.pre_pull(lock), ours),
            ("one by one", lambda: at.one_by_one(names), theirs),
            ("the largest alone", lambda: at.one_by_one([largest]), alone),
        ]
        for turn in range(1 if quick else 3):
            for name, arm, samples in arms if turn % 2 == 0 else reversed(arms):
                at.gate.clear()
                at.clean()
                at.gate.limit(BANDWIDTH)
                mark(f"images: {name}, turn {turn + 1}")
                samples.append(arm())
    result.lines += [
        Line(f"{len(names)} images, compressed", size / 2**20, "MiB"),
        Line(f"floor at {BANDWIDTH >> 20} MiB/s", floor, "s"),
        line_p50("pre-pull", ours, "s"),
        line_p50("one docker pull after the other", theirs, "s"),
        line_p50(f"{largest.rpartition('/')[2]} alone", alone, "s"),
        line_ratio("pre-pull ÷ one by one", ours, theirs),
        line_ratio("pre-pull ÷ the largest alone", ours, alone),
        line_p50("pre-pull ÷ floor", [spent / floor for spent in ours], "×", limit=1.15),
        line_p50("one by one ÷ floor", [spent / floor for spent in theirs], "×"),
    ]
    return result


# ------------------------------------------------------------ the first deploy


def run_deploy(quick: bool) -> Result:
    """The first deploy of a stack: cold, pre-pulled, by mirror, by both."""
    result = Result("deploy")
    turns = 1 if quick else 5
    with course() as at:
        (image, *_) = build(at.engine, at.registry, ["web"])
        at.registry.retag(image.name, image.version, image.version)
        _publish_as_default(at, image.name, image.version)
        name = f"{image.name}:{image.version}"
        samples: dict[str, list[float]] = {arm: [] for arm in ARMS}
        engine_file = EngineConfiguration(
            at.engine.config_file,
            at.engine.folder / "docker.pid",
            lambda: at.images.facts().mirrors,
        )
        # An engine asks a mirror only for its default registry. There is none here, so the cold arm
        # has a mirror too: one that has stored nothing and must fetch through the limited line.
        mirror = Mirror(
            at.folder / "mirror",
            f"http://{GATE_ADDRESS}",
            MIRROR_PORT,
            "docker-registry",
            start_time,
        )
        mirror.start()
        engine_file.install(mirror.url)
        try:
            for turn in range(turns):
                order = list(samples) if turn % 2 == 0 else list(reversed(samples))
                for arm in order:
                    mark(f"deploy: {arm}, turn {turn + 1}")
                    samples[arm].append(_first_deploy(at, mirror, arm, name))
        finally:
            engine_file.uninstall(mirror.url)
            mirror.stop()
    result.lines += [line_p50(f"first deploy, {arm}", spent, "s") for arm, spent in samples.items()]
    result.lines += [
        line_ratio(f"{arm} ÷ cold", samples[arm], samples["cold"])
        for arm in ("pre-pulled", "mirror", "both")
    ]
    return result


def _publish_as_default(at: Course, name: str, version: str) -> None:
    """Let the registry have the image under the path that the default registry would use."""
    at.engine.run("pull", "--quiet", f"{at.registry.address}/{name}:{version}")
    target = f"{at.registry.address}/library/{name}:{version}"
    at.engine.run("tag", f"{at.registry.address}/{name}:{version}", target)
    at.engine.run("push", "--quiet", target)
    at.engine.run("image", "rm", target, f"{at.registry.address}/{name}:{version}")


def _first_deploy(at: Course, mirror: Mirror, arm: str, name: str) -> float:
    """Deploy once from the state that the arm begins with; return the seconds until it runs."""
    at.gate.clear()
    at.clean()
    if arm in ("cold", "pre-pulled"):
        mirror.stop()
        subprocess.run(["rm", "-rf", str(at.folder / "mirror" / "data")], check=True)
        mirror.start()
    else:
        at.engine.run("pull", "--quiet", name)  # the mirror has it now
        at.clean()
    lock = at.lock([name])
    if arm in ("pre-pulled", "both"):
        at.pre_pull(lock)
    (entry,) = lock.images
    file = at.folder / "stack.json"
    told = json.loads(overlay({"app": entry}))
    told["services"]["app"]["deploy"] = {"endpoint_mode": "dnsrr"}
    file.write_text(json.dumps(told))
    at.gate.limit(BANDWIDTH)
    stacks = DockerStacks(at.engine.host)
    begun = time.monotonic()
    try:
        at.engine.run("stack", "deploy", "--resolve-image", "never", "-c", str(file), STACK)
        wait_until(lambda: all(row.runs for row in stacks.images(STACK)), 300.0, "a container")
        return time.monotonic() - begun
    finally:
        wait_until(lambda: not _left(at.engine, stacks), 60.0, "the end of the stack", poll=0.5)
        stacks.close()


def _left(engine: Engine, stacks: DockerStacks) -> bool:
    # Refused as long as a task has the network.
    engine.run("stack", "rm", STACK, check=False)
    found = stacks.objects(STACK)
    for task in found:
        if task.kind == "task":
            engine.run("rm", "--force", task.id, check=False)
    return bool(found)
