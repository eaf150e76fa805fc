"""Finds out what names mean: locks them, and tells which have moved since.

A name that is in the lock already keeps its digest until somebody asks for an update; what the
registry says meanwhile is a drift, told before anything is pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from warminfra.core.errors import Conflict, RegistryRefused, Unreachable, WarminfraError
from warminfra.images.lock import Lock, Locked, Wanted, make_lock
from warminfra.images.registry import Registry

PARALLEL = 8
"""Questions to registries at the same time: each is a few hundred bytes."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Drift:
    """What the registry says of a locked name now. `now` is "" if it could not be asked."""

    locked: Locked
    now: str
    why: str = ""

    @property
    def moved(self) -> bool:
        """Say whether the name means another image than the lock says."""
        return bool(self.now) and self.now != self.locked.digest


def resolve(recipe: str, wanted: Sequence[Wanted], registry: Registry, known: Lock | None) -> Lock:
    """Return the lock of `wanted`: as `known` where it has the name, else as the registry says.

    Pass None to look all up anew. Raises the first error: a lock is whole or not made.
    """

    def one(want: Wanted) -> Locked:
        entry = known.get(want.name) if known else None
        if entry is not None:
            return Locked(entry.name, entry.digest, entry.platforms, want.by)
        digest = want.name.digest or registry.digest_of(want.name)
        return Locked(want.name, digest, registry.platforms(want.name.at(digest)), want.by)

    return make_lock(recipe, in_parallel(one, wanted, PARALLEL))


def drifts(lock: Lock, registry: Registry) -> list[Drift]:
    """Return what has become of every locked name, in order."""

    def one(entry: Locked) -> Drift:
        if entry.name.digest:
            return Drift(entry, entry.digest)
        try:
            return Drift(entry, registry.digest_of(entry.name))
        except (Unreachable, RegistryRefused) as error:
            return Drift(entry, "", error.message)

    return in_parallel(one, lock.images, PARALLEL)


def moved(lock: Lock, registry: Registry) -> list[Drift]:
    """Return the names that mean another image now than the lock says."""
    return [drift for drift in drifts(lock, registry) if drift.moved]


def refuse_drift(lock: Lock, registry: Registry) -> None:
    """Raise `Conflict` with every name that has moved since it was locked.

    To be called before anything is pulled: what would be pulled is not what a deploy takes.
    """
    found = moved(lock, registry)
    if found:
        lines = [f"{d.locked.name}: locked {d.locked.digest}, now {d.now}" for d in found]
        raise Conflict(
            "tags have moved since they were locked: " + "; ".join(lines),
            hint="look with `warminfra images lock --update --dry-run`, then take it with --update",
        )


def in_parallel(do: Callable[[A], B], items: Sequence[A], at_once: int) -> list[B]:
    """Return `do` of each, in order; the first error is raised when all have ended."""
    if not items:
        return []
    with ThreadPoolExecutor(min(at_once, len(items))) as pool:
        futures = [pool.submit(do, item) for item in items]
        failures = [error for future in futures if (error := future.exception())]
    for error in failures:
        if not isinstance(error, WarminfraError):
            raise error
    if failures:
        raise failures[0]
    return [future.result() for future in futures]
