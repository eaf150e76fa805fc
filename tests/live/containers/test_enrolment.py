"""Enrolling a recipe with its images, on a real service, engine and registry."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.installation import Installation, wait_until
from testbed.registry import Registry
from tests.live.containers.small_images import at_gate, make
from tests.live.containers.warm_set import prune
from warminfra.engine.images import DockerImages
from warminfra.images.registry import DOWN_PATIENCE

pytestmark = pytest.mark.live


@pytest.fixture
def images(engine: Engine) -> Iterator[DockerImages]:
    made = DockerImages(engine.host)
    yield made
    made.close()


def shop(installation: Installation, *names: str) -> Path:
    """Write a recipe that deploys `names`."""
    folder = installation.folder / "shop"
    folder.mkdir(exist_ok=True)
    services = {f"app{number}": {"image": name} for number, name in enumerate(names)}
    (folder / "compose.yml").write_text(json.dumps({"version": "3.8", "services": services}))
    (folder / "warminfra.toml").write_text(
        '[sso]\nprovider = "keycloak"\n[pool]\nmax = 0\nmin = 0\n'
    )
    return folder


def here(images: DockerImages, name: str) -> bool:
    return any(name in image.tags for image in images.images())


def warm(installation: Installation) -> bool:
    return installation.run("images", "verify", "--recipe", "shop", check=False).returncode == 0


def test_enrol_prune_repair_unenrol(
    engine: Engine, registry: Registry, gate: Gate, installation: Installation, images: DockerImages
) -> None:
    """Enrolled is warm; what a prune takes the service brings back by itself before long; after
    `unenroll` nothing of it is left."""
    first = make(engine, registry, "enrolled", "1.0.0")
    registry.retag("enrolled", "1.0.0", "1.0")
    second = at_gate("enrolled", "1.0")
    folder = shop(installation, first, second)
    installation.run("enroll", "shop", str(folder))
    assert warm(installation)
    again = installation.json("enroll", "shop", str(folder))
    assert again["pulled"] == []
    prune(engine)
    wait_until(lambda: here(images, first) and here(images, second), 60.0, "the repair")
    assert warm(installation)
    left = installation.json("unenroll", "shop", "--yes")
    assert {row["name"].partition("@")[0] for row in left["freed"]} == {first.rpartition(":")[0]}
    assert not here(images, first)
    assert installation.json("images", "ls")["images"] == []


def test_kill_9_in_the_middle_of_an_enrolment(
    engine: Engine, registry: Registry, gate: Gate, installation: Installation, images: DockerImages
) -> None:
    """The recipe is enrolled, what came is kept; the service or the next call, whoever is first,
    does the rest and no more."""
    first = make(engine, registry, "enrol-first", "1.0.0", sizes=(4_000_000,))
    second = make(engine, registry, "enrol-second", "1.0.0", sizes=(3_900_000,))
    folder = shop(installation, first, second)
    gate.limit(1_000_000)
    process = installation.start(["enroll", "shop", str(folder)])
    wait_until(lambda: here(images, first), 90.0, "the larger image", poll=0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not here(images, second)
    assert "shop" in [row["name"] for row in installation.json("recipes")["recipes"]]
    gate.clear()
    done = installation.json("enroll", "shop", str(folder))
    assert [row["name"] for row in done["pulled"]] in ([second], [])
    assert here(images, second)
    assert warm(installation)
    installation.run("unenroll", "shop", "--yes")
    assert not here(images, first)
    assert not here(images, second)


def test_enrolment_with_the_registry_down_is_told_and_goes_on_later(
    engine: Engine, registry: Registry, gate: Gate, installation: Installation, images: DockerImages
) -> None:
    """69 with the registry's name, soon; afterwards the same call does it all."""
    name = make(engine, registry, "enrol-later", "1.0.0")
    folder = shop(installation, name)
    with gate.cut_off():
        started = time.monotonic()
        failed = installation.run("enroll", "shop", str(folder), check=False)
    assert failed.returncode == 69, failed.stderr
    assert time.monotonic() - started < 3 * DOWN_PATIENCE
    assert gate.address in failed.stderr
    installation.run("enroll", "shop", str(folder))
    assert warm(installation)
    installation.run("unenroll", "shop", "--yes")


def test_a_recipe_without_settings_has_its_images_and_no_pool(
    engine: Engine, registry: Registry, gate: Gate, installation: Installation, images: DockerImages
) -> None:
    """`warminfra.toml` is optional: what the recipe deploys is locked and brought here."""
    name = make(engine, registry, "enrol-plain", "1.0.0")
    folder = shop(installation, name)
    (folder / "warminfra.toml").unlink()
    (folder / "warminfra.lock").unlink(missing_ok=True)
    done = installation.json("enroll", "shop", str(folder))
    assert done["pool"] == {"ready": 0, "min": 0, "max": 0}
    assert [row["name"] for row in done["pulled"]] == [name]
    assert warm(installation)
    installation.run("unenroll", "shop", "--yes")
    assert not here(images, name)
