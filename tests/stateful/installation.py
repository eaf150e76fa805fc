"""A whole installation in one thread: real ledger, real lease machine, fake server, manual clock.

`fault` is asked at every commit of the ledger and around every provider call; raising
`SimulatedCrash` there is a kill -9 of the service. `restart` is the next start.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from warminfra.core.entropy import SeededEntropy
from warminfra.core.errors import StorageFull
from warminfra.core.ids import InstallationId, InstanceId, TenantId
from warminfra.core.models import ProcessRef, Recipe, RunningInstance, SharingFacts
from warminfra.core.ports import Provider
from warminfra.core.secret import Secret
from warminfra.core.states import (
    LIVE_TENANT,
    InstanceKind,
    InstanceState,
    StackState,
    TenantState,
)
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.leasing.builder import Builder
from warminfra.leasing.dedicated import DedicatedWorker
from warminfra.leasing.demand import Demand
from warminfra.leasing.fleet import Fleet
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.pool import Pool
from warminfra.leasing.reaper import Reaper
from warminfra.leasing.room import Room
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.sharing import Gate, SharingPolicy
from warminfra.leasing.stacks import StackKeeper
from warminfra.leasing.sweeper import Sweeper
from warminfra.leasing.teardown import Teardown
from warminfra.leasing.warm import WarmWorker
from warminfra.leasing.watch import Watch
from warminfra.leasing.worker import Worker
from warminfra.ledger import Ledger
from warminfra.ledger.database import Database
from warminfra.testing.clock import ManualClock
from warminfra.testing.fake_provider import (
    FakeLauncher,
    FakeProvider,
    FakeRealm,
    FakeServer,
    SimulatedCrash,
)
from warminfra.testing.fake_stacks import FakeStacks, FakeSwarm

TEMPLATE = Template(
    "fake", "app", ClientSpec(redirect_uris=("https://{domain}/*",)), (UserSpec("alice"),)
)
SETTINGS = LeasingSettings(
    ttl=60.0,
    max_ttl=600.0,
    grace=30.0,
    memory=4,
    warm_memory=1,
    dedicated_memory=1,
    spares=1,
    park_after=120.0,
)
"""Room for one warm and three dedicated instances."""
POOL_MIN, POOL_MAX = 1, 2
FOREIGN = "run-1-of-somebody-else"
"""A stack that is not ours, of a name that begins like ours."""


class Faults:
    """Counts the points passed; crashes, or has the disk full, at the one it is armed for."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.crash_at = 0
        self._full = range(0)

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        if len(self.passed) == self.crash_at:
            self.crash_at = 0
            raise SimulatedCrash(point)
        if len(self.passed) in self._full and point == "ledger:before":
            raise StorageFull("the ledger cannot be written: database or disk is full")

    def arm(self, after: int) -> None:
        """Crash at the `after`-th point from here."""
        self.crash_at = len(self.passed) + after

    def fill(self, after: int, points: int) -> None:
        """Let the ledger find the disk full from the `after`-th point from here, for a while."""
        first = len(self.passed) + after
        self._full = range(first, first + points)


class CrashingDatabase(Database):
    """A database whose every transaction may be the last thing the process did."""

    def __init__(self, path: Path, faults: Faults) -> None:
        super().__init__(path)
        self._faults = faults

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._faults("ledger:before")
        with super().write() as tx:
            yield tx
        self._faults("ledger:after")


class FakeProcesses:
    """Processes that live until a test says otherwise."""

    def __init__(self) -> None:
        self.dead: set[ProcessRef] = set()
        self.watched: set[ProcessRef] = set()

    def alive(self, process: ProcessRef) -> bool:
        return process not in self.dead

    def watch(self, processes: Collection[ProcessRef]) -> None:
        self.watched = set(processes)

    def wait(self, timeout: float) -> bool:
        return bool(self.watched & self.dead)


class Installation:
    """Service, ledger and server; `Builder`, … may be replaced by broken ones before a start."""

    manager_class = LeaseManager
    teardown_class = Teardown
    stacks_class = StackKeeper
    dedicated_class = DedicatedWorker
    provider_class = FakeProvider

    def __init__(
        self,
        empty_ledger: Path,
        folder: Path,
        seed: int = 0,
        settings: LeasingSettings = SETTINGS,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.path = folder / "ledger.db"
        shutil.copy(empty_ledger, self.path)
        self.clock = ManualClock()
        self.entropy = SeededEntropy(seed)
        self.faults = Faults()
        self.processes = FakeProcesses()
        self.server = FakeServer(self.clock)
        self.own: dict[InstanceId, FakeServer] = {}
        """The servers of all instances but the first warm one."""
        self.kinds: dict[InstanceId, InstanceKind] = {}
        self.swarm = FakeSwarm(self.clock)
        self.swarm.deploy(FOREIGN)
        self.clock.advance(60.0)
        self.id = InstallationId("aaaabbbb")
        self.policy = SharingPolicy("unproven")
        self._open()
        self.ledger.recipes.enroll(
            Recipe("app", "/recipe", TEMPLATE.hash, {}, {}, POOL_MIN, POOL_MAX, self.clock.wall()),
            TEMPLATE,
        )

    def restart(self) -> None:
        """Let the service die where it is, and start the next."""
        self.faults.crash_at = 0
        self.ledger.close()
        self._open()

    def step(self) -> bool:
        """Let the reaper and every worker do one thing; say whether any did something."""
        busy = bool(self.reaper.step())
        busy = bool(self.stacks.step()) or busy
        self.manager.unreserve()
        self.fleet.tend()
        for finished in self.fleet.finished():
            self.fleet.drop(finished.instance)
            if not self.ledger.instances.live_tenants(finished.instance):
                finished.stop(discard=True)
        for worker in list(self.fleet.workers.values()):
            turns = [worker.step]
            # The eye has a thread of its own: it may come first, or late while the hand goes on.
            if worker.eye and self.entropy.fraction() < 0.5:
                turns.insert(self.entropy.fraction() < 0.5, worker.eye.step)
            for turn in turns:
                busy = bool(turn()) or busy
        return busy

    def settle(self, patience: int = 400) -> None:
        """Run without accidents until nothing is left to do, letting time pass in between."""
        idle = 0
        for _ in range(patience):
            idle = 0 if self.step() else idle + 1
            retiring = self.ledger.tenants.counts()[TenantState.RETIRING]
            removing = self.ledger.stacks.counts()[StackState.REMOVING]
            if idle > 2 and not retiring and not removing:
                return
            if idle:
                self.clock.advance(5.0)
        raise AssertionError("the installation does not come to rest")

    def server_of(self, instance: InstanceId) -> FakeServer:
        """Return the server that an instance is: the first warm one's is `server`."""
        warm = [one for one, kind in self.kinds.items() if kind is InstanceKind.WARM]
        if instance in warm[:1]:
            return self.server
        return self.own.setdefault(instance, FakeServer(self.clock))

    def realms(self) -> set[TenantId]:
        """Return the internal ids of all tenants that exist, wherever."""
        return {tenant for server in self._servers() for tenant in server.realms}

    def realm(self, tenant: TenantId) -> FakeRealm | None:
        """Return a tenant as its server has it, None if there is none."""
        return next(
            (server.realms[tenant] for server in self._servers() if tenant in server.realms), None
        )

    def _servers(self) -> Iterator[FakeServer]:
        yield self.server
        yield from self.own.values()

    def live_rows(self) -> set[str]:
        return {tenant.id for tenant in self.ledger.tenants.in_states(LIVE_TENANT)}

    def _open(self) -> None:
        self.ledger = Ledger(CrashingDatabase(self.path, self.faults))
        ledger, clock = self.ledger, self.clock
        gate = Gate(self.policy, lambda: "fingerprint")
        self.demand = Demand(clock, ledger.tickets)
        self.demand.resume()
        builder = Builder(ledger, clock, self.entropy, self.id)
        teardown = self.teardown_class(ledger, clock, self.entropy, self.settings)
        pool = Pool(ledger, clock, self.settings, gate)
        room = Room(ledger, self.settings, self.demand, pool.shared)
        sweeper = Sweeper(ledger, clock, self.settings)
        watch = Watch(ledger, clock)

        def new_worker(instance: InstanceId, kind: InstanceKind) -> Worker:
            self.kinds[instance] = kind
            server = self.server_of(instance)

            def connect(running: RunningInstance) -> Provider:
                return self.provider_class(server, self.id, self.faults)

            common: dict[str, Any] = {
                "instance": instance,
                "ledger": ledger,
                "clock": clock,
                "launcher": FakeLauncher(server, self.faults),
                "connect": connect,
                "builder": builder,
                "teardown": teardown,
                "sweeper": sweeper,
                "demand": self.demand,
                "settings": self.settings,
            }
            if kind is InstanceKind.DEDICATED:
                return self.dedicated_class(**common, spare=room.spare)
            return WarmWorker(**common, pool=pool, watch=watch)

        self.fleet = Fleet("fake", ledger, clock, self.entropy, self.settings, room, new_worker)
        engine = FakeStacks(self.swarm, self.faults)
        self.stacks = self.stacks_class(ledger, clock, self.entropy, self.settings, engine)
        self.manager = self.manager_class(
            ledger,
            clock,
            self.settings,
            gate,
            self.fleet,
            self.demand,
            Secret("seal"),
            self.folder,
            self.stacks,
        )
        self.reaper = Reaper(ledger, clock, self.processes, self.settings)
        self.manager.unreserve()
        ledger.tenants.hurry()
        ledger.stacks.hurry()
        for row in ledger.instances.current():
            if row.state is InstanceState.READY:
                ledger.instances.move(row.id, InstanceState.UNHEALTHY)
        self.reaper.resume()

    def facts(self) -> SharingFacts:
        return self.ledger.sharing.facts()
