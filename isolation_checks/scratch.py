"""A scratch installation: the same code and configuration, a server and a ledger of its own.

No run is ever leased here. It goes with the process that made it, however that ends; mutants are
planted here alone, as decorators over the provider and the draw of secrets, and only here servers
and services are killed on purpose.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import structlog

from isolation_checks.plant import Plant, ReaperClock, Switch
from isolation_checks.remains import removed_at_the_end
from isolation_checks.wire import ScratchPackage, Wire
from warminfra.config.settings import Hold, Leases, Reach, Settings, section_mapping
from warminfra.core.audit import AuditPackage, AuditSurface, Row
from warminfra.core.clock import SystemClock
from warminfra.core.errors import NoCapacity, Unreachable, Usage
from warminfra.core.ids import InstanceId, TenantId
from warminfra.core.models import (
    Granted,
    JsonObject,
    LeaseRequest,
    RunningInstance,
    ServerAccess,
)
from warminfra.core.states import InstanceKind, TenantState
from warminfra.core.template import DOMAIN, Template
from warminfra.instances.local import LocalLauncher
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.service.admin import enrolled
from warminfra.service.composition import Parts, compose
from warminfra.service.document import lease_document
from warminfra.service.installation import exclusive
from warminfra.service.loops import Loops
from warminfra.service.schemas import EnrollBody
from warminfra.service.server import log_to

START_PATIENCE, LEASE_PATIENCE, GONE_PATIENCE = 300.0, 60.0, 120.0
RECIPE = "probe"

Tell = Callable[[str], None]


class JumpingClock(SystemClock):
    """The machine's clock, whose wall time can be sent ahead. The boot clock never jumps."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = timedelta()

    def jump(self, seconds: float) -> None:
        """Go forward from now on."""
        self._ahead += timedelta(seconds=seconds)

    def wall(self) -> datetime:
        return super().wall() + self._ahead


class _Service:
    """The scratch installation's service: its parts and loops, which may die and come again."""

    def __init__(self, compose_parts: Callable[[], Parts]) -> None:
        self._compose = compose_parts
        self.parts = compose_parts()
        self.loops = Loops(self.parts)
        self.loops.start()

    def again(self) -> None:
        """Drop the one that died, without a word to the ledger, and start the next."""
        self.loops.stop()
        self.parts.ledger.close()
        self.parts = self._compose()
        self.loops = Loops(self.parts)
        self.loops.start()

    def end(self) -> None:
        self.loops.stop(instances=True, discard=True)
        self.parts.ledger.close()


@dataclass(slots=True)
class Scratch:
    """Leases and gives back, as the service does, through the service's own parts."""

    surface: AuditSurface
    plant: Plant
    template: Template
    wire: Wire
    clock: JumpingClock
    folder: Path
    _service: _Service
    _rows: Callable[[Path], Sequence[Row]]
    lent: list[JsonObject] = field(default_factory=list)
    """Every lease that was ever taken here: what is new must differ from what is long gone too."""
    crashes: int = 0
    """How often service or server were killed."""
    sinks: dict[str, int] = field(default_factory=dict)
    """Ports at which a check listens for what should not come; faults send there."""
    _domains: int = field(default=0)
    _out: dict[str, JsonObject] = field(default_factory=dict)
    """Leases that were taken and not given back."""

    @property
    def parts(self) -> Parts:
        """The parts of the service that runs now."""
        return self._service.parts

    @property
    def manager(self) -> LeaseManager:
        """The lease machine that runs now, with what is planted in front of it."""
        switch: Any = Switch(self.parts.manager, lambda one: self.plant.manage(one), self.plant)
        return cast(LeaseManager, switch)

    @property
    def access(self) -> ServerAccess:
        """The server's address, and every identity that works on it."""
        return running(self.parts, lambda _: None).access

    @property
    def base_url(self) -> str:
        """What the server is called."""
        return self.access.url

    def lease(self, *, ttl: float = 0.0, key: str = "") -> JsonObject:
        """Return the document of a new lease, with a domain of its own.

        The same `key` gets the same lease; `ttl` in seconds, 0 for the default.
        """
        self._domains += 1
        domain = f"run-{self._domains}.audit.test"
        request = LeaseRequest(RECIPE, key or secrets.token_hex(16), ttl=ttl, domain=domain)
        deadline = time.monotonic() + LEASE_PATIENCE
        while time.monotonic() < deadline:
            outcome = self.manager.acquire(request)
            if isinstance(outcome, Granted):
                parts = self.parts
                document = lease_document(outcome, parts.package.name, parts.reach())
                document["redirect_uri"] = self._redirect(str(document["domain"]))
                self._out[document["id"]] = document
                self.lent.append(document)
                return document
            time.sleep(self.manager.await_turn(request, outcome, LEASE_PATIENCE).retry_after)
        raise NoCapacity("the scratch installation grants no lease")

    def _redirect(self, domain: str) -> str:
        """Return a redirect URI that the template's client accepts."""
        first = self.template.client.redirect_uris[0]
        return first.replace(DOMAIN, domain).replace("*", "callback")

    def release(self, *leases: JsonObject) -> None:
        """Give leases back, and wait until nothing of them is left, as far as the service knows."""
        for lease in leases:
            self.manager.release(TenantId(lease["id"]), lease["handle"])
            self._out.pop(lease["id"], None)
        self._await_gone(lambda: all(self._gone(lease) for lease in leases))

    def abandon(self) -> None:
        """Give back every lease that whoever took it has not given back.

        Afterwards nothing is under way: what a request got that ended in an error is gone too. Only
        a create without an answer may still be waited for.
        """
        out = list(self._out.values())
        self._out.clear()
        self.release(*out)
        self._await_gone(self._at_rest)

    def _await_gone(self, gone: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GONE_PATIENCE
        while not gone():
            if time.monotonic() > deadline:
                raise NoCapacity("a teardown on the scratch installation does not end")
            time.sleep(0.01)

    def _at_rest(self) -> bool:
        tenants, now = self.parts.ledger.tenants, self.parts.clock.boot()
        due = tenants.due_for_teardown(self._instance, now, QUARANTINE_AFTER)
        return due is None and not tenants.counts()[TenantState.CREATING]

    def _gone(self, lease: JsonObject) -> bool:
        tenant = self.parts.ledger.tenants.get(TenantId(lease["id"]))
        return tenant is None or tenant.state is TenantState.GONE

    def instance_of(self, lease: JsonObject) -> str:
        """Return the instance that the lease's tenant is on."""
        tenant = self.parts.ledger.tenants.get(TenantId(lease["id"]))
        return tenant.instance if tenant else ""

    # ------------------------------------------------------------ what lies about

    def rows(self) -> Sequence[Row]:
        """Return the rows of the server's database, as it is now."""
        return self._rows(self.launcher.data_of(self._instance))

    def snapshot_rows(self) -> Sequence[Row]:
        """Return the rows that every server begins with."""
        return self._rows(self.launcher.snapshot_data(lambda _: None))

    def copied_rows(self) -> Sequence[Row]:
        """Start one more server from the snapshot, return its rows, and discard it."""
        instance = InstanceId(f"kc-{secrets.token_hex(4)}")
        try:
            self.launcher.start(instance, lambda _: None)
            return self._rows(self.launcher.data_of(instance))
        finally:
            self.launcher.stop(instance, discard=True)

    def files(self) -> Iterator[Path]:
        """Yield every file of the installation, its log included, but for the server's own data."""
        data = self.launcher.data_of(self._instance)
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and not file.is_relative_to(data):
                yield file

    @property
    def launcher(self) -> LocalLauncher:
        """Return who starts the server."""
        return cast(LocalLauncher, self.parts.launchers[InstanceKind.WARM])

    @property
    def _instance(self) -> InstanceId:
        (instance,) = self.parts.fleet.workers
        return instance

    # ------------------------------------------------------------ killed on purpose

    def kill_provider(self) -> None:
        """Kill -9 the server, and wait until the service has it back."""
        self.crashes += 1
        before = running(self.parts, lambda _: None).incarnation
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "java" and str(self.folder) in " ".join(process.cmdline()):
                    process.kill()
        self.parts.manager.bell.ring()
        running(self.parts, lambda _: None, other_than=before)

    def kill_service(self) -> None:
        """Let the service die right after a tenant was made, before it wrote that down."""
        self.crashes += 1
        self.wire.die_at_the_next()
        key = secrets.token_hex(16)
        self.manager.acquire(LeaseRequest(RECIPE, key))
        if not self.wire.died.wait(LEASE_PATIENCE):
            self.wire.calm()
            raise NoCapacity("the scratch service makes no tenant, so it could not die at one")
        # Whoever asked is gone too: the next service must make nothing for it.
        self.parts.manager.withdraw(key)
        self._service.again()
        running(self.parts, lambda _: None)


@contextmanager
def scratch(
    settings: Settings, package: AuditPackage, recipe: Path, tell: Tell
) -> Iterator[Scratch]:
    """Start one for `recipe`; end and remove it afterwards, whatever happens."""
    if settings.keycloak.url:
        raise Usage(
            "an external server is not audited: it cannot be copied",
            hint="unset keycloak.url to audit a server of ours",
        )
    _require_memory(settings)
    folder = Path(tempfile.mkdtemp(prefix="wi-audit-"))
    plant, wire, clock = Plant(), Wire(), JumpingClock()
    own = replace(
        settings,
        service=replace(
            settings.service, state_dir=folder / "state", runtime_dir=folder / "run", group=""
        ),
        sharing=replace(settings.sharing, policy="unproven"),
        keycloak=replace(settings.keycloak, http_port=0, management_port=0),
        reach=_own_reach(settings.reach),
        # What is audited is the machine, not how much of it the node allows.
        instances=replace(
            settings.instances,
            replace_after=sys.maxsize,
            warm=1,
            soft_cap=sys.maxsize,
            hard_cap=sys.maxsize,
        ),
        leases=Leases(),
        hold=Hold(),
    )

    between = ScratchPackage(package, plant, wire)

    def compose_parts() -> Parts:
        parts = compose(own, package=between, draw=plant.drawn, clock=clock)
        return replace(parts, reaper=replace(parts.reaper, clock=ReaperClock(clock, plant)))

    def look(data: Path) -> Sequence[Row]:
        return package.rows(section_mapping(settings.keycloak), data, folder)

    with (
        removed_at_the_end(folder),
        exclusive(own.service.state_dir),
        _logged(own.service.state_dir / "service.log"),
    ):
        service = _Service(compose_parts)
        try:
            access = running(service.parts, tell).access
            enrolled(service.parts, RECIPE, EnrollBody(path=str(recipe), pool_min=0, pool_max=0))
            found = service.parts.ledger.recipes.get(RECIPE)
            assert found is not None  # noqa: S101 - just enrolled
            template = service.parts.manager.template(found.template_hash)
            with closing(package.surface(access)) as surface:
                yield Scratch(surface, plant, template, wire, clock, folder, service, look)
        finally:
            service.end()
            wire.at_the_end.close()


def _own_reach(reach: Reach) -> Reach:
    """Return how the scratch server is reached: as the others, but by its address.

    A proxy leads to the servers that runs use, and must never be asked for this one.
    """
    return Reach() if reach.mode == "front" else replace(reach, name="")


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Write the service's log to `file`, as `serve` writes it to its own, and not to our output."""
    before = structlog.get_config()
    with file.open("a") as out:
        log_to(out, "debug")
        try:
            yield
        finally:
            structlog.configure(**before)


def running(parts: Parts, tell: Tell, other_than: str = "") -> RunningInstance:
    """Wait until a server runs and is reconciled; one of another start than `other_than`."""
    deadline = time.monotonic() + START_PATIENCE
    told = ""
    while time.monotonic() < deadline:
        for worker in list(parts.fleet.workers.values()):
            server = worker.server
            if server is not None and server.running.incarnation != other_than:
                return server.running
        trouble = parts.fleet.trouble()
        if trouble and trouble != told:
            tell(trouble)
            told = trouble
        time.sleep(0.05)
    raise Unreachable(f"the scratch server did not start: {told}")


def _require_memory(settings: Settings) -> None:
    """Refuse to start a server that the node has no room for: it would take it from runs."""
    need, have = settings.keycloak.memory_limit, psutil.virtual_memory().available
    if have < need:
        raise NoCapacity(
            f"{have >> 20} MiB of memory are available, a scratch server may take {need >> 20} MiB",
            hint="audit when fewer runs are under way, or lower keycloak.memory_limit",
        )
