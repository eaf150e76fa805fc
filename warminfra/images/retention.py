"""Our own clean-up: what no recipe needs any more, least lately used first, down to the budget.

Only images that we brought, that no recipe needs and no container has, are ever removed. Room is
counted by unpacked layers, each once: a layer that another image keeps frees nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from warminfra.core.engine import LocalImage
from warminfra.core.errors import Conflict
from warminfra.core.ports import Engine
from warminfra.images.holding import Held, Store
from warminfra.images.pins import Pins


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image to remove, and the bytes that this frees if those before it go too."""

    entry: Held
    freed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a clean-up would do. `kept` tells why others of ours stay."""

    candidates: tuple[Candidate, ...]
    kept: Mapping[str, str]
    held_bytes: int
    """Unpacked, of all that is ours, each layer once."""

    @property
    def freed(self) -> int:
        return sum(candidate.freed for candidate in self.candidates)


def plan(engine: Engine, store: Store, budget: int) -> Plan:
    """Return what to remove so that ours fits into `budget` bytes (0: all that nobody needs)."""
    holdings = store.read()
    images = {image.id: image for image in engine.images(sizes=True)}
    containers = engine.containers()
    own_pins = {pin.id for pin in Pins(engine, store.owner()).of(containers)}
    in_use = {found.image for found in containers if found.id not in own_pins}
    needed = {entry.image for entry in holdings.needed()}
    ours = [entry for entry in holdings.held.values() if entry.ours and entry.image in images]
    kept: dict[str, str] = {}
    free: list[Held] = []
    for entry in ours:
        if entry.recipes:
            kept[entry.name] = f"needed by {', '.join(entry.recipes)}"
        elif entry.image in in_use:
            kept[entry.name] = "a container has it"
        elif entry.image in needed:
            kept[entry.name] = "needed under another name"
        else:
            free.append(entry)
    held = unpacked(images[name] for name in {entry.image for entry in ours})
    remaining = dict(images)
    chosen: list[Candidate] = []
    left = held
    for entry in sorted(free, key=lambda entry: (entry.last_used, entry.name)):
        if budget and left <= budget:
            kept[entry.name] = "within the budget"
            continue
        size = _alone(entry.image, remaining)
        remaining.pop(entry.image, None)
        left -= size
        chosen.append(Candidate(entry, size))
    return Plan(tuple(chosen), kept, held)


def remove(engine: Engine, store: Store, chosen: Iterable[Candidate]) -> list[Candidate]:
    """Remove them, looking at each once more; return those that went."""
    gone = []
    for candidate in chosen:
        with store.change() as changing:
            now = changing.now.held.get(candidate.entry.name)
            if now is None or now.recipes or not now.ours:
                continue  # somebody has come to need it meanwhile
            try:
                _take_names(engine, now)
            except Conflict:
                continue  # a container has come to have it
            changing.now = changing.now.without(now.name)
            gone.append(candidate)
    return gone


def release(engine: Engine, store: Store, recipe: str) -> list[Candidate]:
    """End a recipe's need, and remove exactly what nobody else needs or uses."""
    with store.change() as changing:
        before = {entry.name for entry in changing.now.of(recipe)}
        changing.now = changing.now.released(recipe)
    Pins(engine, store.owner()).settle(store.read())
    found = plan(engine, store, 0)
    return remove(engine, store, [c for c in found.candidates if c.entry.name in before])


def release_all(engine: Engine, store: Store) -> list[Candidate]:
    """End every need, and remove all that is ours and that no container has; the pins first."""
    gone: list[Candidate] = []
    for recipe in {recipe for entry in store.read().needed() for recipe in entry.recipes}:
        gone += release(engine, store, recipe)
    Pins(engine, store.owner()).settle(store.read())
    return gone + remove(engine, store, plan(engine, store, 0).candidates)


def unpacked(images: Iterable[LocalImage]) -> int:
    """Return the bytes of all layers of `images`, each once."""
    sizes: dict[tuple[str, ...], int] = {}
    for image in images:
        for depth, size in enumerate(image.layer_sizes, 1):
            sizes[image.layers[:depth]] = size
    return sum(sizes.values())


def _alone(image: str, images: Mapping[str, LocalImage]) -> int:
    """Return the bytes of the layers that only `image` has."""
    others = unpacked(found for name, found in images.items() if name != image)
    return unpacked(images.values()) - others if image in images else 0


def _take_names(engine: Engine, entry: Held) -> None:
    """Take the image's names away: the tags that still mean it, then the digest."""
    image = next((found for found in engine.images() if found.id == entry.image), None)
    if image is None:
        return
    for tag in set(entry.tags) & set(image.tags):
        engine.remove(tag)
    engine.remove(entry.name)


def sharing(image: LocalImage, others: Sequence[LocalImage]) -> int:
    """Return the bytes of `image` whose layers another one of `others` has, too."""
    rest = [other for other in others if other.id != image.id]
    return unpacked([image]) + unpacked(rest) - unpacked([image, *rest])
