"""What the service does for images by itself, one look at a time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.installation import wait_until
from testbed.registry import Registry
from tests.command import Home, new_home
from tests.live.containers.small_images import make, wanted
from tests.live.containers.warm_set import WarmSet, warm_set
from warminfra.config import load
from warminfra.service.image_watch import ImageWatch

pytestmark = pytest.mark.live


@pytest.fixture
def home(engine: Engine) -> Iterator[Home]:
    with new_home() as made:
        made.configure(f'[engine]\nhost = "{engine.host}"\n')
        yield made


@pytest.fixture
def warm(engine: Engine, home: Home) -> Iterator[WarmSet]:
    with warm_set(engine, home.state_dir) as made:
        yield made


def watch(home: Home, budget: int = 0) -> ImageWatch:
    settings = load(
        environ=home.environment(), flags={"images.budget": str(budget)}, cwd=home.path
    ).settings
    return ImageWatch(settings)


def test_nothing_is_asked_where_nothing_is_held(home: Home) -> None:
    """A node without warm images needs no engine."""
    home.configure('[engine]\nhost = "unix:///nonexistent.sock"\n')
    assert not watch(home).step()


def test_the_budget_is_kept(
    engine: Engine, registry: Registry, gate: Gate, home: Home, warm: WarmSet
) -> None:
    """Leftovers beyond it go, what a recipe needs stays whatever it says."""
    names = [make(engine, registry, f"left-{n}", "1.0.0", sizes=(1_000_000,)) for n in range(3)]
    for name in names:
        warm.warm(wanted(name))
    looked = watch(home, budget=2_500_000)
    assert looked.step()
    assert sorted(warm.store.read().held) == sorted(
        name for name in warm.here() if "/left-" in name
    )
    assert not any("/left-0@" in name for name in warm.here())
    assert not looked.step()
    tight = watch(home, budget=1)
    assert tight.step()
    assert [tags for entry in warm.store.read().held.values() for tags in entry.tags] == names[2:]


def test_it_finishes_what_a_killed_pull_has_left(
    engine: Engine, registry: Registry, gate: Gate, home: Home, warm: WarmSet
) -> None:
    """While a pull is under way it keeps away; once that is killed it does the rest."""
    large = make(engine, registry, "interrupted", "1.0.0", sizes=(4_000_000,))
    folder = home.path / "shop"
    folder.mkdir()
    services = {"app": {"image": large}}
    (folder / "compose.yml").write_text(json.dumps({"version": "3.8", "services": services}))
    gate.limit(500_000)
    process = home.start("images", "pull", "--path", str(folder))
    wait_until(lambda: warm.store.read().held, 60.0, "the intent", poll=0.02)
    assert not watch(home).step()
    assert not warm.here().keys() & warm.store.read().held.keys()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    gate.limit(None)
    assert watch(home).step()
    assert warm.store.read().held.keys() <= warm.here().keys()
    assert not watch(home).step()


def test_purge_leaves_nothing_of_ours(
    engine: Engine, registry: Registry, gate: Gate, home: Home, warm: WarmSet
) -> None:
    """No pin, no image that we brought; one that was here before stays."""
    theirs = make(engine, registry, "before-us", "1.0.0")
    engine.run("pull", "--quiet", theirs)
    warm.warm(wanted(theirs, make(engine, registry, "brought", "1.0.0")))
    warm.warm(wanted(make(engine, registry, "other", "1.0.0")), "other")
    assert watch(home).purge() == 2
    assert warm.pins() == []
    assert [name for name in warm.here() if "/brought@" in name or "/other@" in name] == []
    assert any("/before-us@" in name for name in warm.here())
    engine.run("image", "rm", theirs)
