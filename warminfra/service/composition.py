"""Puts the parts together: the only place that knows which ones there are."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import psutil

from warminfra.config.settings import Settings, section_mapping
from warminfra.core.clock import Clock, SystemClock
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import ConfigInvalid
from warminfra.core.ids import InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.ports import Launcher, Provider, ProviderPackage, Stacks
from warminfra.core.reach import FindReach
from warminfra.core.states import InstanceKind
from warminfra.instances.deaths import ProcessWatch
from warminfra.instances.external import ExternalLauncher
from warminfra.instances.local import LocalLauncher
from warminfra.instances.reach import ReachFinder, Wanted
from warminfra.leasing.bell import Bell
from warminfra.leasing.builder import Builder, Draw
from warminfra.leasing.dedicated import DedicatedWorker
from warminfra.leasing.demand import Demand
from warminfra.leasing.fleet import Fleet
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.material import draw_material
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
from warminfra.service.fingerprint import Fingerprint
from warminfra.service.installation import Installation, open_installation, require_same_server

PROVIDERS = "warminfra.providers"
"""The entry-point group in which provider packages are found."""

REFILL_PAUSE = 0.05
"""Seconds; a lease's own call to the server (its domain) takes 15 ms on an idle one."""


LEDGER = "ledger.db"
"""In the state directory."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts of one running installation."""

    settings: Settings
    installation: Installation
    ledger: Ledger
    clock: Clock
    package: ProviderPackage
    launchers: Mapping[InstanceKind, Launcher]
    fleet: Fleet
    manager: LeaseManager
    reaper: Reaper
    pool: Pool
    gate: Gate
    fingerprint: Fingerprint
    stacks: StackKeeper
    reach: ReachFinder

    @property
    def provider_settings(self) -> Mapping[str, Any]:
        """Return the provider's own section of the configuration."""
        return section_mapping(self.settings.keycloak)


def provider_package(name: str) -> ProviderPackage:
    """Load a provider by its entry point. Raises `ConfigInvalid` if it is not installed."""
    found = entry_points(group=PROVIDERS, name=name)
    if not found:
        known = sorted(point.name for point in entry_points(group=PROVIDERS))
        raise ConfigInvalid(
            f"provider {name!r} is not installed",
            hint="installed: " + (", ".join(known) or "none"),
        )
    package: ProviderPackage = next(iter(found)).load()
    return package


def compose(
    settings: Settings,
    *,
    package: ProviderPackage | None = None,
    draw: Draw = draw_material,
    clock: Clock | None = None,
) -> Parts:
    """Build the parts; nothing runs yet. The caller holds the state directory's lock.

    `package`, `draw` and `clock` are for the prover, which decorates them where it works.
    """
    clock, entropy = clock or SystemClock(), SystemEntropy()
    state_dir = settings.service.state_dir
    installation = open_installation(state_dir, entropy)
    ledger = Ledger.open(state_dir / LEDGER)
    in_use = bool(ledger.instances.current())
    require_same_server(state_dir, settings.keycloak.url, in_use=in_use)
    package = package or provider_package("keycloak")
    options = section_mapping(settings.keycloak)
    reach = find_reach(settings, clock)
    launchers = _launchers(settings, package, installation, reach)
    launcher = launchers[InstanceKind.WARM]
    leasing = leasing_settings(settings)
    fingerprint = Fingerprint(launcher, settings.sharing, settings.reach.mode)
    gate = Gate(_policy(settings), fingerprint.digest)
    demand = Demand(clock, ledger.tickets)
    builder = Builder(ledger, clock, entropy, installation.id, draw)
    teardown = Teardown(ledger, clock, entropy, leasing)
    pool = Pool(ledger, clock, leasing, gate)
    room = Room(ledger, leasing, demand, pool.shared)
    sweeper = Sweeper(ledger, clock, leasing)
    watch = Watch(ledger, clock)

    def connect(running: RunningInstance) -> Provider:
        return package.connect(running.access, installation.id, options)

    bell = Bell()

    def new_worker(instance: InstanceId, kind: InstanceKind) -> Worker:
        common: dict[str, Any] = {
            "instance": instance,
            "ledger": ledger,
            "clock": clock,
            "launcher": launchers[kind],
            "connect": connect,
            "builder": builder,
            "teardown": teardown,
            "sweeper": sweeper,
            "demand": demand,
            "settings": leasing,
        }
        if kind is InstanceKind.DEDICATED:
            return DedicatedWorker(**common, spare=room.spare)
        return WarmWorker(**common, pool=pool, watch=watch, bell=bell)

    fleet = Fleet(package.name, ledger, clock, entropy, leasing, room, new_worker)
    engine = stack_engine(settings)
    stacks = StackKeeper(ledger, clock, entropy, leasing, engine)
    seal = installation.seal
    manager = LeaseManager(
        ledger, clock, leasing, gate, fleet, demand, seal, state_dir, stacks, bell
    )
    reaper = Reaper(ledger, clock, ProcessWatch(), leasing)
    return Parts(
        settings,
        installation,
        ledger,
        clock,
        package,
        launchers,
        fleet,
        manager,
        reaper,
        pool,
        gate,
        fingerprint,
        stacks,
        reach,
    )


def _launchers(
    settings: Settings,
    package: ProviderPackage,
    installation: Installation,
    reach: FindReach,
) -> Mapping[InstanceKind, Launcher]:
    """Return who starts each kind of instance. There is one external server, which is warm."""
    keycloak, options = settings.keycloak, section_mapping(settings.keycloak)
    if keycloak.url:
        external = ExternalLauncher(
            keycloak.url,
            lambda: package.external(options, installation.id),
            lambda: package.leave(options, installation.id),
        )
        return {InstanceKind.WARM: external}

    def local(kind: InstanceKind, own: Mapping[str, Any], **other: Any) -> Launcher:
        return LocalLauncher(
            package.distribution({**options, **other}, reach),
            installation=installation.id,
            state_dir=settings.service.state_dir,
            cache_dir=settings.service.cache_dir,
            kind=kind,
            **own,
        )

    warm = {
        "memory_limit": keycloak.memory_limit,
        "http_port": keycloak.http_port,
        "management_port": keycloak.management_port,
    }
    dedicated = {"memory_limit": keycloak.dedicated_memory_limit}
    return {
        InstanceKind.WARM: local(InstanceKind.WARM, warm),
        InstanceKind.DEDICATED: local(
            InstanceKind.DEDICATED, dedicated, heap=keycloak.dedicated_heap, short_lived=True
        ),
    }


def find_reach(settings: Settings, clock: Clock) -> ReachFinder:
    """Return what finds out how our servers are reached. A server that is not ours is what it is.

    docker-py is loaded only if the engine has to be asked.
    """

    def gateway() -> str:
        from warminfra.engine.bridge import bridge_address
        from warminfra.engine.connection import engine_host

        return bridge_address(engine_host(settings.engine.host))

    given = settings.reach
    wanted = Wanted(
        mode="host" if settings.keycloak.url else given.mode,
        address=given.address,
        name=given.name,
        public_url=given.public_url,
        http_port=settings.keycloak.http_port,
        proxy_headers=given.proxy_headers,
        trusted_proxies=given.trusted_proxies,
        ca_file=given.ca_file,
    )
    service = settings.service
    return ReachFinder(wanted, service.state_dir, service.runtime_dir, clock, gateway)


def stack_engine(settings: Settings) -> Stacks:
    """Return the engine's stacks; docker-py is loaded at the first call, if at all."""
    from warminfra.engine.connection import engine_host
    from warminfra.engine.stacks import DockerStacks

    return DockerStacks(engine_host(settings.engine.host))


def leasing_settings(settings: Settings) -> LeasingSettings:
    """Return the lease machine's numbers.

    An instance gets no successor where there can only be one: on ports that are fixed, and on a
    server that is not ours.
    """
    keycloak = settings.keycloak
    only_one = keycloak.url or keycloak.http_port or keycloak.management_port
    return LeasingSettings(
        ttl=settings.leases.ttl.total_seconds(),
        max_ttl=settings.leases.max_ttl.total_seconds(),
        grace=settings.leases.grace.total_seconds(),
        soft_cap=settings.instances.soft_cap,
        hard_cap=settings.instances.hard_cap,
        replace_after=sys.maxsize if only_one else settings.instances.replace_after,
        warm=1 if only_one else settings.instances.warm,
        memory=settings.instances.memory or psutil.virtual_memory().total // 2,
        warm_memory=0 if keycloak.url else keycloak.memory_limit,
        dedicated_memory=keycloak.dedicated_memory_limit,
        no_dedicated=_no_dedicated(settings),
        spares=settings.instances.spares,
        park_after=settings.instances.park_after.total_seconds() or math.inf,
        disk_reserve=settings.service.disk_reserve,
        hold_max=settings.hold.max,
        hold_memory=settings.hold.memory,
        hold_longest=settings.hold.max_time.total_seconds(),
        refill_pause=REFILL_PAUSE,
    )


def _no_dedicated(settings: Settings) -> str:
    if settings.keycloak.url:
        return "an external server cannot be had for one lease alone"
    if settings.reach.one_server:
        return "there is one server behind the front that reach.public_url names"
    return ""


def _policy(settings: Settings) -> SharingPolicy:
    sharing = settings.sharing
    return SharingPolicy(
        sharing.policy,
        sharing.min_profile,
        sharing.max_age,
        sharing.require,
        settings.audit.accept,
    )
