"""The background threads: a worker's hand and eye for each instance, one that reaps and tends, one
that sees holders die, one for stacks, one for images.

A loop never ends by an error: it logs it, waits, and goes on; what is wrong shows in `status`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import chain

import structlog

from warminfra.core.errors import WarminfraError
from warminfra.core.ids import InstanceId
from warminfra.core.states import InstanceState, LeaseState, TenantState
from warminfra.leasing.stacks import LOOK_AGAIN
from warminfra.leasing.worker import Worker
from warminfra.service.composition import Parts
from warminfra.service.image_watch import ImageWatch
from warminfra.service.reaudit import Reaudit

log = structlog.get_logger()

TICK = 0.5
"""Seconds between two looks of the reaper."""

AFTER_ERROR = 2.0
CHECK_EVERY = 300.0
"""Seconds between two looks whether what is installed still is what runs."""
REMEMBERED = timedelta(days=90)
"""Time after which what has ended is forgotten: its lease, tenant, stacks and instance."""
PURGE_LOOK = 0.2
"""Seconds between two looks of a purge."""
PURGED = "purged by the operator"
JOIN = 120.0
"""Longest wait for a worker to come to the end of its step (a start of Keycloak)."""


FINISH_AGAIN = 60.0
"""Seconds until a drained instance that could not be ended is tried again."""


class Loops:
    """Starts and stops the threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._workers: dict[InstanceId, list[threading.Thread]] = {}
        self._tender = threading.Thread(target=self._tend, name="tender", daemon=True)
        self._not_before: dict[InstanceId, float] = {}
        """When a drained instance that could not be ended is tried again."""
        self._reaudit = Reaudit(parts)
        self._next_check = parts.clock.boot() + CHECK_EVERY
        self._stacks = threading.Thread(target=self._remove_stacks, name="stacks", daemon=True)
        self._holders = threading.Thread(target=self._watch_holders, name="holders", daemon=True)
        self._image_watch = ImageWatch(parts.settings)
        self._images = threading.Thread(target=self._watch_images, name="images", daemon=True)
        self.closing = False
        """Set while everything is being purged: no new instance."""

    def start(self) -> None:
        """Recover what the last service left, then begin to work."""
        parts = self._parts
        parts.manager.demand.resume()
        parts.manager.unreserve()
        parts.ledger.tenants.hurry()
        parts.ledger.stacks.hurry()
        for row in parts.ledger.instances.current():
            if row.state is InstanceState.READY:
                parts.ledger.instances.move(row.id, InstanceState.UNHEALTHY)
        parts.reaper.resume()
        for kind, launcher in parts.launchers.items():
            parts.fleet.take_in(kind, launcher.instances())
        parts.fleet.tend()
        self._tender.start()
        self._holders.start()
        self._stacks.start()
        self._images.start()

    def stop(self, *, instances: bool = False, discard: bool = False) -> None:
        """End the threads; with `instances` the servers too."""
        self._stopping.set()
        self._parts.manager.bell.ring()
        self._parts.fleet.bell.ring()
        if self._tender.ident is not None:
            self._tender.join(JOIN)
        self._reaudit.end()
        workers = chain.from_iterable(self._workers.values())
        for thread in (self._holders, self._stacks, self._images, *workers):
            if thread.ident is not None:
                thread.join(JOIN if instances else TICK)
        if instances:
            self._end_servers(discard=discard)

    def _end_servers(self, *, discard: bool) -> None:
        """End them all, whatever becomes of one; raise the first trouble then."""
        troubles: list[Exception] = []
        for worker in self._parts.fleet.workers.values():
            try:
                worker.stop(discard=discard)
            except (WarminfraError, OSError) as error:
                log.error("not ended as it should", instance=worker.instance, error=str(error))
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def purge(self, wait: float = 300.0) -> int:
        """Retire every tenant and wait until all are gone; return how many are not.

        Then the images that we brought, and their pins: what stacks ran on is free by then. If
        some are left the service works on as before.
        """
        self.closing, done = True, False
        try:
            left = self._emptied(wait)
            if not left:
                self._image_watch.purge()
                done = True
        finally:
            self.closing = done
        return left

    def _emptied(self, wait: float) -> int:
        """Drain until no tenant lives, or for so many seconds; return how many do."""
        deadline = self._parts.clock.boot() + wait
        self._drain()
        while left := self._live():
            if self._parts.clock.boot() > deadline or self._stopping.wait(PURGE_LOOK):
                break
            self._drain()
        return left

    def _drain(self) -> None:
        """End every lease, and let every instance empty itself.

        Again and again: one that was starting is up now, a tenant that was being made is ready.
        """
        ledger, now = self._parts.ledger, self._parts.clock.wall()
        for lease in ledger.leases.active():
            ledger.leases.end(lease.id, LeaseState.REVOKED, PURGED, now)
        for row in ledger.instances.current():
            ledger.instances.move(row.id, InstanceState.DRAINING)
        if ledger.tenants.retire_where(PURGED, now):
            self._parts.manager.bell.ring()

    def _live(self) -> int:
        counts = self._parts.ledger.tenants.counts()
        return sum(count for state, count in counts.items() if state is not TenantState.GONE)

    # ------------------------------------------------------------ the threads

    def _tend(self) -> None:
        bell, heard = self._parts.fleet.bell, 0
        while not self._stopping.is_set():
            self._guarded("tender", self._tend_once)
            heard = bell.wait(heard, TICK)

    def _watch_holders(self) -> None:
        """End a lease in the moment in which its process dies, not at the next look."""
        reaper = self._parts.reaper
        while not self._stopping.is_set():
            if reaper.processes.wait(TICK):
                self._guarded("holders", self._reap)

    def _reap(self) -> str:
        ended = self._parts.reaper.step()
        if ended:
            self._parts.manager.bell.ring()
        return "ended" if ended else ""

    def _tend_once(self) -> None:
        parts = self._parts
        self._reap()
        parts.manager.unreserve()
        if self.closing:
            return
        self._recompute()
        self._reaudit.step()
        parts.fleet.tend()
        for instance in self._workers.keys() - parts.fleet.workers.keys():
            self._workers.pop(instance)  # its threads have ended, or are about to
        for instance, worker in list(parts.fleet.workers.items()):
            if instance not in self._workers:
                self._workers[instance] = self._set_to_work(worker)
        now = parts.clock.boot()
        for worker in parts.fleet.finished():
            name = worker.instance
            if now < self._not_before.get(name, 0.0):
                continue
            if not self._guarded(f"end of {name}", partial(self._finish, worker)):
                self._not_before[name] = now + FINISH_AGAIN

    def _finish(self, worker: Worker) -> str:
        """End an instance that is drained; return what was done."""
        self._parts.fleet.drop(worker.instance)
        threads = self._workers.pop(worker.instance, [])
        self._parts.manager.bell.ring()
        for thread in threads:
            thread.join(JOIN)
        if not self._parts.ledger.instances.live_tenants(worker.instance):
            worker.stop(discard=True)
            return "ended"
        return "not empty"  # its last step has found or made one: the next worker takes it down

    def _set_to_work(self, worker: Worker) -> list[threading.Thread]:
        """Start a worker's threads: its hand, and its eye if it has one."""
        threads = [self._thread(worker, f"worker {worker.instance}", worker.step)]
        if worker.eye:
            threads.append(self._thread(worker, f"verifier {worker.instance}", worker.eye.step))
        return threads

    def _thread(self, worker: Worker, name: str, step: Callable[[], str]) -> threading.Thread:
        thread = threading.Thread(
            target=self._work, args=(worker, name, step), name=name, daemon=True
        )
        thread.start()
        return thread

    def _recompute(self) -> None:
        """Forget the past now and then, and see whether what runs is what is certified."""
        if self._parts.clock.boot() < self._next_check:
            return
        self._next_check = self._parts.clock.boot() + CHECK_EVERY
        self._parts.reach.renew()
        self._parts.ledger.forget(self._parts.clock.wall() - REMEMBERED)
        changed = self._parts.fingerprint.check()
        if changed:
            log.error("installed otherwise than it runs", parts=", ".join(changed))

    def _remove_stacks(self) -> None:
        bell = self._parts.manager.bell
        heard = 0
        while not self._stopping.is_set():
            if self._guarded("stacks", self._parts.stacks.step):
                bell.ring()  # its tenant waits for that
            else:
                heard = bell.wait(heard, LOOK_AGAIN)

    def _watch_images(self) -> None:
        watch = self._image_watch
        pause = self._parts.settings.images.look_every.total_seconds()
        while not self._stopping.is_set():
            if not self.closing:
                self._guarded("images", lambda: "mended" if watch.step() else "")
            self._stopping.wait(pause)

    def _work(self, worker: Worker, name: str, step: Callable[[], str]) -> None:
        bell = self._parts.manager.bell
        heard = 0
        while not self._stopping.is_set() and worker.instance in self._parts.fleet.workers:
            if not self._guarded(name, step):
                heard = bell.wait(heard, worker.idle())

    def _guarded(self, name: str, step: Callable[[], str | None]) -> str | None:
        try:
            return step()
        except WarminfraError as error:
            log.error("step failed", loop=name, code=error.code, error=error.message)
        except Exception:
            log.exception("step failed", loop=name)
        self._stopping.wait(AFTER_ERROR)
        return None
