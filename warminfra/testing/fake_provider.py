"""A server in memory, with the accidents that real ones have.

`FakeServer` is the world outside: it survives a crash of the service. It can take a create whose
answer is lost and apply it later, be killed and lose acknowledged commits, and fail any call.
`FakeProvider` and `FakeLauncher` are its two faces. For unit tests, simulations and shrinking;
never evidence of what a real server does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from warminfra.core.clock import Clock
from warminfra.core.errors import OutcomeUnknown, ProviderRefused, Unreachable
from warminfra.core.ids import InstallationId, InstanceId, TenantId, owner_of
from warminfra.core.models import (
    Capabilities,
    FoundTenant,
    RunningInstance,
    ServerAccess,
    TenantFacts,
    TenantMaterial,
    TenantPlan,
    TenantRef,
)
from warminfra.core.ports import Progress
from warminfra.core.template import DOMAIN, ClientSpec

TRANSACTION_TIMEOUT = 60.0
HICCUPS = (
    *("personalise:before", "personalise:after", "condemn:before", "condemn:after"),
    *("destroy:before", "destroy:after", "verify", "list", "health"),
)
"""Points at which a call may go unanswered, before or after it took effect."""


class SimulatedCrash(BaseException):
    """The process died here. No handler for errors may catch it."""


Fault = Callable[[str], None]
"""Called at each named point; may raise `SimulatedCrash` or a provider error."""


@dataclass(slots=True)
class FakeRealm:
    """One tenant as the server has it."""

    ref: TenantRef
    plan: TenantPlan
    redirect_uris: tuple[str, ...] = ()
    shut: bool = False
    """Whether its credentials are dead."""


@dataclass(slots=True)
class FakeServer:
    """The server's truth. `realms` is keyed by internal id."""

    clock: Clock
    realms: dict[TenantId, FakeRealm] = field(default_factory=dict)
    settings: str = "fake"
    """Stands for all that is server-wide."""
    url: str = "http://fake"
    """What it is called, as long as this start of it lasts."""
    up: bool = False
    incarnation: int = 0
    lose_next_reply: bool = False
    """The next create is taken, but answered by a timeout: it is applied by `arrive_late`."""
    hiccup: str = ""
    """At this point, one of `HICCUPS`, the next call that comes there ends in a timeout."""
    stuck: bool = False
    """Deletes are answered well and do nothing."""
    deleted_open: set[TenantId] = field(default_factory=set)
    """Tenants that were deleted while their credentials were good."""
    _late: list[tuple[float, TenantPlan]] = field(default_factory=list)
    _journal: list[Callable[[], object]] = field(default_factory=list)

    def create(self, plan: TenantPlan) -> None:
        if any(realm.ref.name == plan.ref.name for realm in self.realms.values()):
            raise ProviderRefused(f"tenant {plan.ref.name} exists")
        if self.lose_next_reply:
            self.lose_next_reply = False
            self._late.append((self.clock.boot(), plan))
            raise OutcomeUnknown("no answer in time")
        self._apply(plan)

    def shut(self, tenant: TenantId) -> bool:
        """Let a tenant's credentials die; say whether it is there."""
        realm = self.realms.get(tenant)
        if realm is None:
            return False
        before, realm.shut = realm.shut, True
        self._journal.append(lambda: setattr(realm, "shut", before))
        return True

    def delete(self, tenant: TenantId) -> None:
        if self.stuck:
            return
        realm = self.realms.pop(tenant, None)
        if realm is not None:
            if not realm.shut:
                self.deleted_open.add(tenant)
            self._journal.append(lambda: self.realms.__setitem__(tenant, realm))

    def arrive_late(self) -> int:
        """Apply the creates that are still within their transaction's time; return how many."""
        now = self.clock.boot()
        due = [plan for sent, plan in self._late if now - sent < TRANSACTION_TIMEOUT]
        self._late.clear()
        for plan in due:
            self._apply(plan)
        return len(due)

    def kill(self, lost_commits: int = 0) -> None:
        """Kill -9: transactions under way die, the last commits may be lost although they were
        acknowledged."""
        self.up = False
        self._late.clear()
        for _ in range(min(lost_commits, len(self._journal))):
            self._journal.pop()()

    def start(self) -> None:
        self.up = True
        self.incarnation += 1
        self._journal.clear()

    def _apply(self, plan: TenantPlan) -> None:
        self.realms[plan.ref.id] = FakeRealm(plan.ref, plan)
        self._journal.append(lambda: self._undo(plan.ref.id))

    def _undo(self, tenant: TenantId) -> None:
        self.realms.pop(tenant, None)


class FakeProvider:
    """`Provider` on a `FakeServer`. Each call has a point before and one after its effect."""

    def __init__(
        self, server: FakeServer, installation: InstallationId, fault: Fault = lambda point: None
    ) -> None:
        self._server = server
        self._installation = installation
        self._fault = fault
        self._condemned: set[TenantId] = set()

    def create_tenant(self, plan: TenantPlan) -> TenantFacts:
        self._call("create:before")
        self._server.create(plan)
        self._fault("create:after")
        issuer = f"{self._server.url}/realms/{plan.ref.name}"
        kinds = ("discovery", "authorization", "token", "userinfo", "jwks", "end_session")
        endpoints = {kind: f"{issuer}/{kind}" for kind in (*kinds, "introspection")}
        return TenantFacts(issuer, endpoints)

    def personalise(
        self, ref: TenantRef, client: ClientSpec, material: TenantMaterial, domain: str
    ) -> None:
        self._call("personalise:before")
        realm = self._server.realms.get(ref.id)
        if realm is None:
            raise ProviderRefused(f"no tenant {ref.id}")
        realm.redirect_uris = tuple(uri.replace(DOMAIN, domain) for uri in client.redirect_uris)
        self._done("personalise:after")

    def condemn(self, ref: TenantRef) -> None:
        self._call("condemn:before")
        self._own(ref)
        there = self._server.shut(ref.id)
        self._done("condemn:after")
        if there:
            self._condemned.add(ref.id)

    def destroy_tenant(self, ref: TenantRef) -> None:
        self._call("destroy:before")
        self._own(ref)
        if ref.id not in self._condemned:
            self.condemn(ref)
        self._condemned.discard(ref.id)
        self._server.delete(ref.id)
        self._done("destroy:after")

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        self._call("verify")
        return [f"realm {ref.id}"] if ref.id in self._server.realms else []

    def list_tenants(self) -> Sequence[FoundTenant]:
        self._call("list")
        return [
            FoundTenant(realm.ref)
            for realm in self._server.realms.values()
            if owner_of(realm.ref.id) == self._installation
        ]

    def health(self) -> None:
        self._call("health")

    def fingerprint(self) -> Mapping[str, str]:
        return {"server": self._server.settings}

    def capabilities(self) -> Capabilities:
        return Capabilities(transaction_timeout=TRANSACTION_TIMEOUT)

    def _own(self, ref: TenantRef) -> None:
        if owner_of(ref.id) != self._installation:
            raise ProviderRefused(f"tenant {ref.id} is not ours")
        for realm in self._server.realms.values():
            if realm.ref.name == ref.name and realm.ref.id != ref.id:
                raise ProviderRefused(f"{ref.name} is another tenant's name")

    def _call(self, point: str) -> None:
        self._fault(point)
        if not self._server.up:
            raise Unreachable("connection refused")
        self._hiccup(point)

    def _done(self, point: str) -> None:
        self._fault(point)
        self._hiccup(point)

    def _hiccup(self, point: str) -> None:
        if self._server.hiccup == point:
            self._server.hiccup = ""
            raise OutcomeUnknown("no answer in time")


class FakeLauncher:
    """`Launcher` of one `FakeServer`."""

    def __init__(self, server: FakeServer, fault: Fault = lambda point: None) -> None:
        self._server = server
        self._fault = fault

    def prepare(self, progress: Progress) -> None:
        progress("preparing")

    def instances(self) -> Collection[InstanceId]:
        return ()

    def start(self, instance: InstanceId, progress: Progress) -> RunningInstance:
        self._fault("start:before")
        progress("starting")
        self._server.start()
        self._fault("start:after")
        return self._running(instance)

    def adopt(self, instance: InstanceId) -> RunningInstance | None:
        return self._running(instance) if self._server.up else None

    def alive(self, running: RunningInstance) -> bool:
        return self._server.up and running.incarnation == str(self._server.incarnation)

    def stop(self, instance: InstanceId, *, discard: bool) -> None:
        self._server.kill()  # nothing that was under way comes late from a process that ended
        if discard:
            self._server.realms.clear()

    def renounce(self, instance: InstanceId) -> None:
        self.stop(instance, discard=True)

    def fingerprint(self) -> Mapping[str, str]:
        return {"launcher": "fake"}

    def _running(self, instance: InstanceId) -> RunningInstance:
        return RunningInstance(
            instance, ServerAccess(self._server.url, {}), str(self._server.incarnation)
        )
