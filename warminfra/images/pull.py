"""The pre-pull: brings every locked image here, and pins each as it comes.

The line is for the few images that download, the largest first: what takes longest to unpack then
begins to soonest, and others download meanwhile.

Nothing is begun that does not fit: the bytes that are missing, layers that are here already left
out, must leave the disk its reserve. What is pulled is kept over any crash; the next pre-pull does
the rest. A pull that failed in a way that may pass is tried again until the deadline.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_before_delay
from tenacity.wait import wait_random_exponential

from warminfra.core.engine import LocalImage, PullEvent
from warminfra.core.errors import NoCapacity, RegistryRefused, StorageFull, Unreachable
from warminfra.core.ports import Engine
from warminfra.images.credentials import for_engine
from warminfra.images.holding import Held, Store
from warminfra.images.lock import Lock, Locked
from warminfra.images.pins import Pins
from warminfra.images.progress import Measure, PullProgress, Tally
from warminfra.images.registry import Content, Registry
from warminfra.images.resolve import in_parallel

UNPACKED = 3
"""An unpacked layer takes at most so many times its compressed bytes; few take more."""

MOST = 16
"""Images that are downloaded or unpacked at a time, at most."""

Told = Callable[[int, int, str], None]


class _Stopped(Exception):
    """Another pull has failed for good, or the deadline has passed."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One image that is not here yet."""

    entry: Locked
    content: Content
    resolve_s: float


@dataclass(slots=True)
class _Place:
    """One image's place on the line: taken while it downloads, left when it is unpacked."""

    line: threading.Semaphore
    stop: threading.Event
    end: float
    """Of the monotonic clock, when the time is over."""
    held: bool = False

    def take(self) -> None:
        """Wait for it, unless it is held. Raises `_Stopped`."""
        while True:
            if self.stop.is_set() or time.monotonic() > self.end:
                self.leave()
                raise _Stopped
            if self.held:
                return
            self.held = self.line.acquire(timeout=0.2)

    def leave(self) -> None:
        """Let another image have it; twice is fine."""
        if self.held:
            self.held = False
            self.line.release()


@dataclass(slots=True)
class PrePull:
    """Pulls for one engine. `parallel` images download at a time, and any number is unpacked;
    `reserve` bytes stay free."""

    engine: Engine
    registry: Registry
    store: Store
    parallel: int = 1
    reserve: int = 0

    def run(
        self,
        recipe: str,
        lock: Lock,
        *,
        deadline: float,
        told: Told = lambda done, total, name: None,
    ) -> list[Measure]:
        """Have everything that `lock` names here and pinned for `recipe` within `deadline` seconds.

        Returns what was pulled. Raises `StorageFull`, `RegistryRefused`, `Unreachable`, and
        `NoCapacity` when the time is over; what came until then stays, and is pinned.
        """
        end = time.monotonic() + deadline
        with self.store.pulling(wait=True):
            return self._run(recipe, lock, end, told)

    def _run(self, recipe: str, lock: Lock, end: float, told: Told) -> list[Measure]:
        local = self._local()
        missing = [entry for entry in lock.images if entry.bound.pinned not in local]
        jobs = self._jobs(missing)
        self._intend(recipe, lock, local, jobs)
        self._name_what_is_here(lock, local)
        self._pin()
        have = {layer for image in local.values() for layer in image.layers}
        layers = {
            layer.digest: layer
            for job in jobs
            for layer in job.content.layers
            if layer.unpacked not in have
        }
        self._require_space(sum(layer.size for layer in layers.values()))
        progress = PullProgress(layers.values(), told)
        return self._pull_all(jobs, progress, end)

    # ------------------------------------------------------------ before

    def _local(self) -> dict[str, LocalImage]:
        """Return the images here by `repository@digest`."""
        return {name: image for image in self.engine.images() for name in image.digests}

    def _jobs(self, missing: Sequence[Locked]) -> list[_Job]:
        """Look up what is missing, largest first: the tail is then short."""
        platform = self.engine.facts().platform

        def one(entry: Locked) -> _Job:
            begun = time.monotonic()
            content = self.registry.content(entry.bound, platform)
            return _Job(entry, content, time.monotonic() - begun)

        jobs = in_parallel(one, missing, self.parallel * 2)
        return sorted(jobs, key=lambda job: -sum(layer.size for layer in job.content.layers))

    def _intend(
        self, recipe: str, lock: Lock, local: dict[str, LocalImage], jobs: Sequence[_Job]
    ) -> None:
        coming = {job.entry.bound.pinned: job.content for job in jobs}
        ids = {image.id for image in local.values()}
        now = time.time()
        with self.store.change() as changing:
            before = changing.now
            after = before.released(recipe)
            for entry in lock.images:
                name = entry.bound.pinned
                known, other = before.held.get(name), after.held.get(name)
                image = coming[name].image if name in coming else local[name].id
                tags = {*(other.tags if other and other.recipes else ()), entry.name.tagged}
                tags.discard("")
                size = sum(layer.size for layer in coming[name].layers) if name in coming else 0
                after = after.with_entry(
                    Held(
                        name=name,
                        tags=tuple(sorted(tags)),
                        image=image,
                        recipes=tuple(sorted({*(other.recipes if other else ()), recipe})),
                        ours=known.ours if known else image not in ids,
                        bytes=size or (known.bytes if known else 0),
                        last_used=known.last_used if known else now,
                    )
                )
            changing.now = after

    def _name_what_is_here(self, lock: Lock, local: dict[str, LocalImage]) -> None:
        for entry in lock.images:
            image = local.get(entry.bound.pinned)
            tag = entry.name.tagged
            if image is not None and tag and tag not in image.tags:
                self.engine.tag(image.id, tag)

    def _require_space(self, compressed: int) -> None:
        root = self.engine.facts().root
        if not compressed or not os.path.isdir(root):
            return  # an engine elsewhere tells by itself when its disk is full
        free, needed = shutil.disk_usage(root).free, compressed * UNPACKED + self.reserve
        if free < needed:
            raise StorageFull(
                f"{compressed >> 20} MiB to pull take up to {compressed * UNPACKED >> 20} MiB "
                f"unpacked; {free >> 20} MiB are free at {root}, of which "
                f"{self.reserve >> 20} MiB are the reserve",
                hint="free space there, or `warminfra images prune`",
            )

    # ------------------------------------------------------------ the pulls

    def _pull_all(self, jobs: Sequence[_Job], progress: PullProgress, end: float) -> list[Measure]:
        stop = threading.Event()
        line = threading.Semaphore(max(self.parallel, 1))
        # Pins are another hand's work: a place that pulls must not wait for a container's start.
        with (
            ThreadPoolExecutor(1) as pinner,
            ThreadPoolExecutor(min(len(jobs), MOST) or 1) as pool,
        ):
            pins: list[Future[None]] = []

            def pull(job: _Job, place: _Place) -> Measure:
                try:
                    measure = self._pull(job, progress, place)
                except BaseException:
                    stop.set()
                    raise
                finally:
                    place.leave()
                pins.append(pinner.submit(self._pin))
                return measure

            futures: list[Future[Measure]] = []
            with suppress(_Stopped):
                for job in jobs:  # in their order: each begins when the line has a place for it
                    place = _Place(line, stop, end)
                    place.take()
                    futures.append(pool.submit(pull, job, place))
                wait(futures, timeout=_until(end), return_when=FIRST_EXCEPTION)
            stop.set()
        ended: list[Future[Any]] = [*futures, *pins]
        for future in ended:
            if (error := future.exception()) and not isinstance(error, _Stopped):
                raise error
        here = [future.result() for future in futures if not future.exception()]
        if len(here) < len(jobs):
            raise NoCapacity(
                f"{len(here)} of {len(jobs)} images pulled when the time was over",
                hint="call again: what is here stays, and is pinned",
            )
        return here

    def _pull(self, job: _Job, progress: PullProgress, place: _Place) -> Measure:
        begun = time.monotonic()
        stop, end = place.stop, place.end
        name = job.entry.bound
        tally = Tally()

        def heard(event: PullEvent) -> None:
            if stop.is_set() or time.monotonic() > end:
                raise _Stopped
            progress.heard(str(job.entry.name), tally, event)
            if tally.downloaded:
                place.leave()

        def once() -> None:
            place.take()
            try:
                self._await_allowance(job.entry, end, stop)
                login = for_engine(self.registry.credentials.of(name.domain))
                self.engine.pull(name.repository, name.digest, login, heard)
            except Unreachable:
                place.leave()  # for the pause before the next try
                raise

        retrying = Retrying(
            stop=stop_before_delay(_until(end)),
            wait=wait_random_exponential(multiplier=1.0, max=30.0),
            retry=retry_if_exception_type(Unreachable),
            sleep=lambda seconds: _sleep(stop, seconds),
            reraise=True,
        )
        retrying(once)
        self._check(job)
        if job.entry.name.tagged:
            self.engine.tag(job.content.image, job.entry.name.tagged)
        return Measure(
            str(job.entry.name),
            sum(tally.claimed.values()),
            job.resolve_s,
            tally.download_s(),
            tally.extract_s(),
            time.monotonic() - begun,
            int(retrying.statistics.get("attempt_number", 1)),
        )

    def _check(self, job: _Job) -> None:
        """Believe the pull only after a look: that digest, and the image that it stands for."""
        image = self._local().get(job.entry.bound.pinned)
        if image is None or image.id != job.content.image:
            raise RegistryRefused(
                f"{job.entry.bound}: pulled, but the engine holds "
                f"{image.id if image else 'nothing'} instead of {job.content.image}",
                hint="call again; if it stays so, see the registry",
            )

    def _await_allowance(self, entry: Locked, end: float, stop: threading.Event) -> None:
        """Wait while the registry says that no pulls are left; asking again costs none."""
        domain = entry.name.domain
        while (left := self.registry.allowances.get(domain)) and left.remaining <= 0:
            pause = min(max(left.window / 100, 1.0), 60.0) * random.uniform(0.5, 1.5)  # noqa: S311
            if time.monotonic() + pause > end:
                raise NoCapacity(
                    f"{domain or 'the default registry'} allows {left.limit} pulls in "
                    f"{left.window:g} s, and none is left",
                    hint="log in to it for a higher limit, use a mirror, or call again later",
                )
            _sleep(stop, pause)
            self.registry.digest_of(entry.bound)

    def _pin(self) -> None:
        Pins(self.engine, self.store.owner()).settle(self.store.read())


def _until(deadline: float) -> float:
    """Return the seconds left until `deadline` of the monotonic clock, at least a hundredth."""
    return max(deadline - time.monotonic(), 0.01)


def _sleep(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise _Stopped
