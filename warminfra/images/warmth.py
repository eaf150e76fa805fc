"""Proof of warmth: would a run that starts now download anything? And did one?

Looks only; repairs nothing. `repair` is the keeper's, and `images pull`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warminfra.core.engine import LocalImage, RunningImage
from warminfra.core.ports import Engine
from warminfra.images.holding import Held, Store
from warminfra.images.lock import Lock, Wanted
from warminfra.images.pins import Pins
from warminfra.images.reference import parse_reference
from warminfra.images.registry import Registry
from warminfra.images.resolve import Drift, drifts


@dataclass(frozen=True, slots=True)
class Warmth:
    """One name of a recipe. `note` is for people: why it is cold, or what was not looked at."""

    name: str
    warm: bool
    digest: str
    note: str = ""


def look(
    wanted: Sequence[Wanted],
    lock: Lock | None,
    engine: Engine,
    registry: Registry | None,
    store: Store,
) -> list[Warmth]:
    """Return the warmth of each name that the recipe wants now, in order.

    Without a registry the tags are not compared with what they mean there.
    """
    local = {name: image for image in engine.images() for name in image.digests}
    known = (
        {drift.locked.name: drift for drift in drifts(lock, registry)}
        if (lock and registry)
        else {}
    )
    containers = engine.containers()
    pinned = {pin.image for pin in Pins(engine, store.owner()).of(containers) if pin.running}
    return [_look(want, lock, local, known.get(want.name), pinned) for want in wanted]


def _look(
    want: Wanted,
    lock: Lock | None,
    local: dict[str, LocalImage],
    drift: Drift | None,
    pinned: set[str],
) -> Warmth:
    name = str(want.name)
    entry = lock.get(want.name) if lock else None
    if entry is None:
        return Warmth(name, False, "", "not in the lock; `warminfra images lock`")
    image = local.get(entry.bound.pinned)
    if drift is not None and drift.moved:
        return Warmth(
            name, False, entry.digest, f"its tag moved: the registry says {drift.now} now"
        )
    if image is None:
        return Warmth(name, False, entry.digest, "not on this node")
    notes = []
    if image.id not in pinned:
        notes.append("not pinned")
    if want.name.tagged and want.name.tagged not in image.tags:
        notes.append("its tag is not on this node: only a deploy by digest is warm")
    if drift is not None and not drift.now:
        notes.append(f"tag not compared: {drift.why}")
    return Warmth(name, True, entry.digest, "; ".join(notes))


@dataclass(frozen=True, slots=True)
class Ran:
    """One service of a stack: whether its container runs what the lock says."""

    service: str
    same: bool
    note: str


def compare(lock: Lock, running: Sequence[RunningImage], images: Sequence[LocalImage]) -> list[Ran]:
    """Compare what a stack runs with the lock: a difference was a cold pull that nobody saw."""
    ids = {name: image.id for image in images for name in image.digests}
    found = []
    for service in running:
        told = parse_reference(service.told)
        entry = lock.get(told) or next(
            (e for e in lock.images if e.name.tagged and e.name.tagged == told.tagged), None
        )
        if entry is None:
            found.append(Ran(service.service, False, f"{told}: not in the lock"))
        elif not service.runs:
            found.append(Ran(service.service, False, f"{told}: runs no container here"))
        elif told.digest and told.digest != entry.digest:
            note = f"{told.tagged} was resolved to {told.digest}, locked is {entry.digest}"
            found.append(Ran(service.service, False, note))
        else:
            same = ids.get(entry.bound.pinned) == service.runs
            note = str(entry.bound) if same else f"runs {service.runs}, not {entry.bound}"
            found.append(Ran(service.service, same, note))
    return found


def lost(entry: Held, local: dict[str, LocalImage]) -> str:
    """Say what of a needed image is not as it should be, "" if all is well."""
    image = local.get(entry.name)
    if image is None:
        return "gone"
    if set(entry.tags) - set(image.tags):
        return "untagged"
    return ""
