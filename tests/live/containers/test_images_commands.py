"""`warminfra images …` and what a deploy does afterwards, as a user calls them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.engine import Engine, newest_client
from testbed.gate import Gate
from testbed.installation import wait_until
from testbed.registry import Registry
from tests.command import Home, new_home
from tests.live.containers.small_images import at_gate, blobs, make
from tests.live.containers.warm_set import prune
from warminfra.engine.images import DockerImages
from warminfra.engine.stacks import DockerStacks
from warminfra.images.holding import Store
from warminfra.images.retention import release

pytestmark = pytest.mark.live


@pytest.fixture
def home(engine: Engine) -> Iterator[Home]:
    """A home that uses the test engine; what its commands have pulled goes at the end."""
    with new_home() as made:
        made.configure(f'[engine]\nhost = "{engine.host}"\n')
        yield made
        images = DockerImages(engine.host)
        store = Store(made.state_dir)
        for recipe in {recipe for entry in store.read().needed() for recipe in entry.recipes}:
            release(images, store, recipe)
        images.close()


def recipe(home: Home, *images: str) -> Path:
    """Write a recipe whose services run `images`."""
    folder = home.path / "shop"
    folder.mkdir(exist_ok=True)
    services: dict[str, Any] = {
        f"app{number}": {"image": image, "deploy": {"endpoint_mode": "dnsrr"}}
        for number, image in enumerate(images)
    }
    services["app0"]["deploy"]["labels"] = ["coop-cloud.${STACK_NAME}.version=1.0.0+2.0.0"]
    (folder / "compose.yml").write_text(json.dumps({"version": "3.8", "services": services}))
    (folder / ".env.sample").write_text("TYPE=shop\nDOMAIN=shop.example\n")
    return folder


def ok(home: Home, *arguments: str) -> str:
    done = home.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def deployed(engine: Engine, *options: str, stack: str) -> Iterator[None]:
    """Deploy, and take it down again."""
    stacks = DockerStacks(engine.host)
    try:
        engine.run("stack", "deploy", *options, stack, client=newest_client())
        yield
    finally:
        wait_until(lambda: _gone(engine, stacks, stack), 60.0, f"the end of stack {stack}")
        stacks.close()


def _gone(engine: Engine, stacks: DockerStacks, stack: str) -> bool:
    """Remove what is left, and say whether it was nothing: a network waits for its tasks."""
    found = stacks.objects(stack)
    if found:
        engine.run("stack", "rm", stack, check=False)
    for task in found:
        if task.kind == "task":
            engine.run("rm", "--force", task.id, check=False)
    return not found


def running(engine: Engine, stack: str) -> int:
    told = engine.run("ps", "--quiet", "--filter", f"label=com.docker.stack.namespace={stack}")
    return len(told.split())


def test_lock_pull_cut_off_deploy(
    engine: Engine, registry: Registry, gate: Gate, home: Home
) -> None:
    """What is locked and pulled deploys with the registry cut off, and with it there asks it for
    nothing; without a pre-pull the same deploy fails."""
    names = [make(engine, registry, f"shop-{n}", "1.0.0") for n in range(2)]
    folder = recipe(home, *names)
    overlay = home.path / "warm.json"
    ok(home, "images", "lock", "--path", str(folder), "--overlay", str(overlay))
    locked = json.loads((folder / "warminfra.lock").read_text())
    assert [row["name"] for row in locked["images"]] == names
    assert home.run("images", "verify", "--path", str(folder)).returncode == 1
    options = ["-c", str(folder / "compose.yml"), "-c", str(overlay), "--resolve-image", "never"]

    with gate.cut_off(), deployed(engine, *options, stack="cold"):
        wait_until(
            lambda: "No such image" in engine.run("stack", "ps", "--no-trunc", "cold"),
            60.0,
            "the cold deploy to fail",
        )
        assert running(engine, "cold") == 0

    ok(home, "images", "pull", "--path", str(folder))
    prune(engine)
    assert home.run("images", "verify", "--path", str(folder)).returncode == 0
    gate.clear()
    log = len(registry.access_log())
    with deployed(engine, *options, stack="warm"):  # the registry could answer
        wait_until(lambda: running(engine, "warm") == 2, 60.0, "the warm deploy")
        told = ok(home, "images", "verify", "--path", str(folder), "--stack", "warm", "-o", "json")
        assert all(row["same"] for row in json.loads(told)["images"])
    assert gate.requests == []
    assert len(registry.access_log()) == log
    plain = ["-c", str(folder / "compose.yml")]
    with gate.cut_off(), deployed(engine, *plain, stack="plain"):  # by tag, as most deploy
        wait_until(lambda: running(engine, "plain") == 2, 90.0, "the deploy by tag")
    assert len(registry.access_log()) == log


def test_a_moved_tag_stops_the_pull_and_update_takes_it(
    engine: Engine, registry: Registry, gate: Gate, home: Home
) -> None:
    """`pull` tells the drift and pulls nothing (79); `lock --update` shows it first and asks."""
    name = make(engine, registry, "shifting", "stable")
    folder = recipe(home, name)
    ok(home, "images", "pull", "--path", str(folder))
    old = json.loads((folder / "warminfra.lock").read_text())["images"][0]
    assert old["floating"]
    make(engine, registry, "shifting", "stable")
    gate.clear()
    refused = home.run("images", "pull", "--path", str(folder))
    assert refused.returncode == 79
    assert old["digest"] in refused.stderr
    assert home.run("images", "verify", "--path", str(folder)).returncode == 1
    assert blobs(gate) == []
    shown = home.run("images", "lock", "--path", str(folder), "--update")
    assert shown.returncode == 2, "without a terminal nobody said yes"
    assert f"~ {name} {old['digest']} → " in shown.stdout
    assert json.loads((folder / "warminfra.lock").read_text())["images"][0] == old
    ok(home, "images", "lock", "--path", str(folder), "--update", "--yes")
    ok(home, "images", "pull", "--path", str(folder))
    assert home.run("images", "verify", "--path", str(folder)).returncode == 0
    told = json.loads(ok(home, "images", "ls", "-o", "json"))["images"]
    assert [(row["recipes"], row["pinned"]) for row in told if row["digest"] == old["digest"]] == [
        ([], False)
    ]
    assert old["digest"] in ok(home, "images", "prune", "--dry-run")
    ok(home, "images", "prune", "--yes")
    assert len(json.loads(ok(home, "images", "ls", "-o", "json"))["images"]) == 1


def test_kill_9_in_the_middle_of_a_pull(
    engine: Engine, registry: Registry, gate: Gate, home: Home
) -> None:
    """What came before the kill stays and is pinned; the next call does the rest."""
    names = [make(engine, registry, f"cut-{n}", "1.0.0", sizes=(size,))
             for n, size in enumerate((400_000, 5_000_000))]  # fmt: skip
    folder = recipe(home, *names)
    home.configure(f'[engine]\nhost = "{engine.host}"\n[images]\nparallel = 2\n')
    ok(home, "images", "lock", "--path", str(folder))
    gate.limit(1_000_000)
    process = home.start("images", "pull", "--path", str(folder))
    images = DockerImages(engine.host)
    try:
        wait_until(lambda: _here(images, "cut-0"), 60.0, "the small one", poll=0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert not _here(images, "cut-1")
        gate.clear()
        told = json.loads(ok(home, "images", "pull", "--path", str(folder), "-o", "json"))
        assert [row["name"] for row in told["images"]] == [at_gate("cut-1", "1.0.0")]
        assert _here(images, "cut-1")
        assert home.run("images", "verify", "--path", str(folder)).returncode == 0
    finally:
        images.close()


def _here(images: DockerImages, name: str) -> bool:
    return any(f"/{name}@" in digest for image in images.images() for digest in image.digests)


def test_a_full_engine_disk_is_told_and_breaks_nothing(
    engine: Engine, registry: Registry, gate: Gate, home: Home
) -> None:
    """With the reserve above what is free nothing is pulled (73), and what is here stays."""
    small, big = make(engine, registry, "fits", "1.0.0"), make(engine, registry, "big", "1.0.0")
    ok(home, "images", "pull", "--path", str(recipe(home, small)))
    folder = recipe(home, small, big)
    full = home.run("--set", "service.disk_reserve=900TiB", "images", "pull", "--path", str(folder))
    assert full.returncode == 73, full.stderr
    assert "reserve" in full.stderr
    assert json.loads(ok(home, "images", "pull", "--path", str(folder), "-o", "json"))["images"]


def test_the_mirror_is_put_in_watched_and_taken_out(
    engine: Engine, registry: Registry, gate: Gate, home: Home
) -> None:
    """An engine asks it for its default registry; `uninstall` leaves daemon.json as it was."""
    make(engine, registry, "library/mirrored", "1.0.0")
    before = json.loads(engine.config_file.read_text())
    home.configure(
        f'[engine]\nhost = "{engine.host}"\nconfig_file = "{engine.config_file}"\n'
        f'pid_file = "{engine.folder}/docker.pid"\n'
        f'[mirror]\nupstream = "http://{gate.address}"\nport = 5079\n'
    )
    try:
        ok(home, "images", "mirror", "install", "--yes")
        folder = recipe(home, "mirrored:1.0.0")
        ok(home, "images", "pull", "--path", str(folder))
        assert blobs(gate)
        gate.clear()
        state = json.loads(ok(home, "images", "mirror", "-o", "json"))
        assert state["answers"]
        assert state["used"]
        assert state["stored_bytes"] > 200_000
        engine.run("rmi", "--force", "mirrored:1.0.0", check=False)
        os.kill(state["pid"], signal.SIGKILL)
        ok(home, "images", "mirror", "start")
        assert json.loads(ok(home, "images", "mirror", "-o", "json"))["pid"] != state["pid"]
    finally:
        ok(home, "images", "mirror", "uninstall", "--yes")
        ok(home, "images", "mirror", "stop")
    assert json.loads(engine.config_file.read_text()) == before


def test_without_an_engine_the_line_says_so(home: Home) -> None:
    """No engine: 69, and how to name one."""
    home.configure('[engine]\nhost = "unix:///nonexistent.sock"\n')
    done = home.run("images", "ls")
    assert done.returncode == 69
    assert "engine.host" in done.stderr
    assert "Traceback" not in done.stderr
