"""The warm image set on a real engine and a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.registry import Registry
from tests.live.containers.small_images import at_gate, blobs, make, make_on, wanted
from tests.live.containers.warm_set import WarmSet, prune, warm_set
from warminfra.core.errors import Conflict, NoCapacity, RegistryRefused, StorageFull, Unreachable
from warminfra.images.resolve import refuse_drift
from warminfra.images.retention import plan, release, remove
from warminfra.images.warmth import look

pytestmark = pytest.mark.live


@pytest.fixture
def warm(engine: Engine, tmp_path: Path) -> Iterator[WarmSet]:
    with warm_set(engine, tmp_path) as made:
        yield made


def test_what_is_locked_is_here_pinned_and_warm(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """After a pre-pull the node holds exactly the locked digests, under their tags, and says so."""
    names = [make(engine, registry, f"here-{n}", "1.0.0") for n in range(3)]
    want = wanted(*names)
    lock = warm.lock(want)
    before = look(want, lock, warm.engine, warm.registry, warm.store)
    assert [row.warm for row in before] == [False] * 3
    measures = warm.pull(lock)
    assert {m.name for m in measures} == set(names)
    assert all(m.total_s > 0 for m in measures)
    assert min(m.bytes for m in measures) > 200_000, measures
    assert {entry.bound.pinned for entry in lock.images} <= warm.here().keys()
    after = look(want, lock, warm.engine, warm.registry, warm.store)
    assert [(row.warm, row.note) for row in after] == [(True, "")] * 3
    assert len(warm.pins()) == 3


def test_a_second_pre_pull_asks_for_no_byte(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Repeating it is safe and costs nothing."""
    lock = warm.warm(wanted(make(engine, registry, "again", "1.0.0")))
    gate.clear()
    assert warm.pull(lock) == []
    assert gate.requests == []


def test_a_prune_of_everything_takes_nothing_that_is_needed(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """`docker system prune -a -f` leaves every held image, by digest and by tag."""
    want = wanted(make(engine, registry, "kept", "1.0.0"), make(engine, registry, "kept", "1.1.0"))
    lock = warm.warm(want)
    other = make(engine, registry, "not-held", "1.0.0")
    engine.run("pull", "--quiet", other)
    assert "not-held" in prune(engine)
    gate.clear()
    rows = look(want, lock, warm.engine, None, warm.store)
    assert [(row.warm, row.note) for row in rows] == [(True, "")] * 2
    assert not warm.keeper().step()
    assert gate.requests == []


def test_what_a_prune_takes_all_the_same_is_noticed_and_repaired(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """An engine takes all but one name of an image that has several, pin or not: they come back,
    for the price of a manifest."""
    first = make(engine, registry, "two-names", "1.0.0")
    registry.retag("two-names", "1.0.0", "alias")
    want = wanted(first, at_gate("two-names", "alias"))
    lock = warm.warm(want)
    prune(engine)
    rows = look(want, lock, warm.engine, None, warm.store)
    assert any(row.note for row in rows), "this engine prunes no name of a used image any more"
    gate.clear()
    assert warm.keeper().step().named
    rows = look(want, lock, warm.engine, None, warm.store)
    assert [(row.warm, row.note) for row in rows] == [(True, "")] * 2
    assert blobs(gate) == []


def test_pins_that_are_killed_come_back_and_those_too_many_go(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Whatever happens to the pins, the next look has one running for each held image."""
    warm.warm(wanted(make(engine, registry, "pinned", "1.0.0")))
    (pin,) = warm.pins()
    engine.run("rm", "--force", pin.id)
    warm.engine.pin(pin.image, pin.labels)
    warm.engine.pin(pin.image, pin.labels)
    repair = warm.keeper().step()
    assert (repair.pinned, repair.unpinned) == (0, 1)
    engine.run("rm", "--force", warm.pins()[0].id)
    assert warm.keeper().step().pinned == 1
    assert not warm.keeper().step()


def test_a_moved_tag_is_told_before_anything_is_pulled(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Drift is a conflict that names both digests; not one byte has come by then."""
    name = make(engine, registry, "moving", "1.0.0")
    want = wanted(name)
    lock = warm.lock(want)
    make(engine, registry, "moving", "1.0.0")
    gate.clear()
    with pytest.raises(Conflict, match=lock.images[0].digest):
        refuse_drift(lock, warm.registry)
    (row,) = look(want, lock, warm.engine, warm.registry, warm.store)
    assert not row.warm
    assert "moved" in row.note
    assert blobs(gate) == []
    assert lock.images[0].bound.pinned not in warm.here()


def test_unenrol_frees_exactly_what_nobody_else_needs(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Layers that stay are not counted, images that others need or that were here stay."""
    base = make(engine, registry, "base", "1.0.0", sizes=(3_000_000,))
    mine = make_on(engine, registry, base, "mine", "1.0.0", 1_000_000)
    both = make_on(engine, registry, base, "both", "1.0.0", 500_000)
    theirs = make(engine, registry, "theirs", "1.0.0")
    engine.run("pull", "--quiet", theirs)
    warm.warm(wanted(mine, both, theirs), "first")
    warm.warm(wanted(both), "second")
    gone = release(warm.engine, warm.store, "first")
    assert [c.entry.tags[0] for c in gone] == [mine]
    assert gone[0].freed == 1_000_000
    held = {name.partition("@")[0].partition("/")[2] for name in warm.here()}
    assert {"both", "theirs"} <= held
    assert "mine" not in held
    engine.run("image", "rm", theirs)
    (last,) = release(warm.engine, warm.store, "second")
    assert last.freed > 3_500_000


def test_the_budget_takes_the_least_lately_used_and_no_more(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """What recipes have left behind goes oldest first until the rest fits; a plan only tells."""
    names = [make(engine, registry, f"old-{n}", "1.0.0", sizes=(1_000_000,)) for n in range(3)]
    for name in names:
        warm.warm(wanted(name), "app")  # each lock leaves the one before behind
    everything = plan(warm.engine, warm.store, 0)
    assert [c.entry.tags[0] for c in everything.candidates] == names[:2]
    within = plan(warm.engine, warm.store, 2_500_000)
    assert [c.entry.tags[0] for c in within.candidates] == names[:1]
    assert [c.entry.tags[0] for c in remove(warm.engine, warm.store, within.candidates)] == names[
        :1
    ]
    assert len(warm.here().keys() & warm.store.read().held.keys()) == 2


def test_an_image_in_use_is_never_removed(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """A container, even a stopped one, keeps its image from us."""
    name = make(engine, registry, "in-use", "1.0.0")
    warm.warm(wanted(name))
    container = engine.run("create", name).strip()
    assert release(warm.engine, warm.store, "app") == []
    assert plan(warm.engine, warm.store, 0).kept
    engine.run("rm", container)
    found = plan(warm.engine, warm.store, 0)
    assert [c.entry.tags[0] for c in remove(warm.engine, warm.store, found.candidates)] == [name]


# ------------------------------------------------------------ trouble


def test_a_registry_that_breaks_off_is_tried_again(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Connections that are cut in the middle of a layer cost time, not the pre-pull."""
    lock = warm.lock(wanted(make(engine, registry, "broken-off", "1.0.0", sizes=(900_000,))))
    with gate.breaking(300_000, times=1):
        (measure,) = warm.pull(lock)
    assert measure.bytes > 900_000


def test_a_registry_that_is_down_is_told_and_the_next_try_does_the_rest(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """Nothing half done is left: what came stays and is pinned, what did not comes later."""
    first, second = (make(engine, registry, f"down-{n}", "1.0.0") for n in range(2))
    warm.warm(wanted(first))
    lock = warm.lock(wanted(first, second))
    with gate.cut_off(), pytest.raises(Unreachable):
        warm.pull(lock, deadline=3.0)
    assert len(warm.pins()) == 1
    assert [m.name for m in warm.pull(lock)] == [second]
    assert len(warm.pins()) == 2


def test_too_many_requests_are_waited_out(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """429 with Retry-After: asked again, after that time, and then it works."""
    name = make(engine, registry, "busy", "1.0.0")
    with gate.refusing(429, {"Retry-After": "1"}, times=2):
        lock = warm.lock(wanted(name))
    assert sum(r.status == 429 for r in gate.requests) == 2
    assert len(warm.pull(lock)) == 1


def test_a_used_up_allowance_stops_pulls_before_the_registry_does(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """With nothing left of the registry's rate limit no layer is asked for; the line says why."""
    name = make(engine, registry, "used-up", "1.0.0")
    gate.extra_headers.update({"ratelimit-limit": "100;w=300", "ratelimit-remaining": "0;w=300"})
    lock = warm.lock(wanted(name))
    with pytest.raises(NoCapacity, match="100 pulls"):
        warm.pull(lock, deadline=4.0)
    assert not any("/blobs/" in r.path for r in gate.requests if r.sent > 100_000)
    gate.extra_headers["ratelimit-remaining"] = "5;w=300"
    warm.registry.allowances.clear()
    assert len(warm.pull(lock)) == 1


def test_a_wrong_manifest_is_refused(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """A registry that serves other bytes than it names: refused, and nothing is kept of it."""
    name = make(engine, registry, "forged", "1.0.0")
    with gate.corrupting("/manifests/sha256:"), pytest.raises(RegistryRefused, match="served"):
        warm.lock(wanted(name))
    lock = warm.lock(wanted(name))
    assert len(warm.pull(lock)) == 1


def test_a_wrong_layer_is_refused(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """A layer with another content than its digest never becomes an image here."""
    name = make(engine, registry, "forged-layer", "1.0.0", sizes=(400_000,))
    lock = warm.lock(wanted(name))
    layers = "|".join(
        layer.digest for layer in warm.registry.content(lock.images[0].bound, "linux/amd64").layers
    )
    with gate.corrupting(layers), pytest.raises((RegistryRefused, NoCapacity)):
        warm.pull(lock, deadline=20.0)
    assert lock.images[0].bound.pinned not in warm.here()
    assert len(warm.pull(lock)) == 1


def test_what_would_not_fit_is_not_begun(
    engine: Engine, registry: Registry, gate: Gate, warm: WarmSet
) -> None:
    """The disk keeps its reserve: too little room is told before a layer is asked for."""
    lock = warm.lock(wanted(make(engine, registry, "no-room", "1.0.0")))
    gate.clear()
    with pytest.raises(StorageFull, match="reserve"):
        warm.pull(lock, reserve=1 << 60)
    assert not [r for r in gate.requests if r.sent > 100_000]
    assert len(warm.pull(lock)) == 1
