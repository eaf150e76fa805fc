"""What must always hold of the lease machine, by a reference ledger.

The reference knows only what holders were told. After every step it must hold that no tenant was
granted twice, that a lease nobody ended lives until its deadline with its tenant on the server, and
that no row says `gone` of a tenant that exists.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from tests.stateful.installation import FOREIGN, POOL_MAX, Installation
from warminfra.core.engine import StackKind
from warminfra.core.ids import TenantId
from warminfra.core.models import Granted, LeaseRequest, ProcessRef
from warminfra.core.states import InstanceKind, LeaseState, StackState, TenantState
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.ledger import Ledger
from warminfra.testing.fake_provider import SimulatedCrash

_SHM = Path("/dev/shm")  # noqa: S108 - only folders that tempfile makes are used in it
IN_MEMORY = _SHM if _SHM.is_dir() else None
"""Where ledgers are kept: they die with the service here, never with the machine."""


@dataclass
class Promise:
    """What one holder was told, and what has happened to it since."""

    key: str
    handle: str
    secret: str
    deadline: float
    process: ProcessRef | None
    stack: str = ""
    ended: bool = False
    """Ended by its holder, its process' death, or an accident at the server that may end it."""


def empty_ledger() -> Path:
    """Return a migrated ledger to copy, made once."""
    global _EMPTY
    if _EMPTY is None:
        _EMPTY = Path(tempfile.mkdtemp(prefix="warminfra-test-")) / "empty.db"
        Ledger.open(_EMPTY).close()
    return _EMPTY


_EMPTY: Path | None = None


class Promises(RuleBasedStateMachine):
    """An installation, the promises that it has made, and what they bind it to."""

    installation_class: type[Installation] = Installation

    @initialize(seed=st.integers(0, 2**16), warm=st.booleans())
    def begin(self, seed: int, warm: bool) -> None:
        """Begin with nothing, or with a server that runs and a full pool."""
        self.folder = tempfile.TemporaryDirectory(prefix="warminfra-test-", dir=IN_MEMORY)
        self.world = self.installation_class(empty_ledger(), Path(self.folder.name), seed)
        self.promises: dict[TenantId, Promise] = {}
        self.keys = 0
        self.reverted = False
        if warm:
            self.world.settle()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.converges()
        finally:
            self.world.ledger.close()
            self.folder.cleanup()

    # ------------------------------------------------------------ what must always hold

    @invariant()
    def no_row_lies(self) -> None:
        """A tenant that the ledger calls gone does not exist, while its server has not lost
        commits that nobody reconciled yet."""
        if not hasattr(self, "world"):
            return
        gone = {tenant.id for tenant in self.world.ledger.tenants.in_states((TenantState.GONE,))}
        if self._reconciled():
            there = gone & set(self.world.server.realms)
            assert not there, "gone in the ledger, alive at the server"
        for server in self.world.own.values():
            assert not gone & set(server.realms), "gone in the ledger, alive at its own server"

    @invariant()
    def a_server_of_ones_own_has_one_tenant(self) -> None:
        """No lease is served by another kind of instance than it was told, nobody is beside it."""
        if not hasattr(self, "world"):
            return
        for server in self.world.own.values():
            assert len(server.realms) <= 1, "two tenants on a dedicated server"
        for lease in self.world.ledger.leases.active():
            tenant = self.world.ledger.tenants.get(lease.id)
            assert tenant is not None
            own = self.world.kinds.get(tenant.instance) is InstanceKind.DEDICATED
            assert own == (lease.mode == "dedicated"), f"{lease.mode} on the other kind"

    @invariant()
    def stacks_go_first_and_only_ours(self) -> None:
        """What is not ours stays whole; no stack is called gone that is there; a tenant goes only
        after its stack, or when that could not be removed again and again."""
        if not hasattr(self, "world"):
            return
        world = self.world
        assert len(world.swarm.stacks[FOREIGN]) == len(StackKind), "somebody else's stack"
        removing = world.ledger.stacks.in_state(StackState.REMOVING)
        standing = {stack.name for stack in removing}
        standing |= {stack.name for stack in world.ledger.stacks.in_state(StackState.OWNED)}
        there = {name for name, objects in world.swarm.stacks.items() if objects}
        assert there <= standing | {FOREIGN}, "gone in the ledger, there in the swarm"
        for stack in removing:
            tenant = world.ledger.tenants.get(stack.lease)
            assert tenant is not None
            if tenant.state is TenantState.GONE:
                assert stack.attempts >= QUARANTINE_AFTER, "the tenant went before its stack"

    @invariant()
    def live_leases_have_their_tenant(self) -> None:
        """Nobody's tenant is taken down under a lease that nobody ended."""
        if not hasattr(self, "world"):
            return
        for lease, promise in self.promises.items():
            if self._alive(promise):
                row = self.world.ledger.leases.get(lease)
                assert row is not None
                assert row.state is LeaseState.ACTIVE, f"ended early: {row.end_reason}"
                realm = self.world.realm(lease)
                assert realm is not None, "its tenant is gone"
                assert not realm.shut, "its credentials are dead"

    @invariant()
    def credentials_die_first(self) -> None:
        """No tenant is deleted while its credentials are good, whatever its server forgot."""
        if not hasattr(self, "world"):
            return
        for server in (self.world.server, *self.world.own.values()):
            assert not server.deleted_open, "deleted with live credentials"

    def converges(self) -> None:
        """After the last accident everything comes to rest and to agreement."""
        world = self.world
        self._restart()
        world.server.arrive_late()
        world.server.hiccup = ""
        world.swarm.up = True
        self.lift()
        world.clock.advance(700.0)
        world.settle()
        assert world.ledger.leases.active() == []
        assert world.realms() == world.live_rows()
        assert world.ledger.tenants.counts()[TenantState.READY] == POOL_MAX
        assert world.demand.waiting() == 0
        assert [name for name, objects in world.swarm.stacks.items() if objects] == [FOREIGN]
        self.credentials_die_first()

    # ------------------------------------------------------------ promises

    def _promised(self, granted: Granted, request: LeaseRequest) -> TenantId:
        lease = granted.lease
        material = granted.tenant.material
        assert material is not None
        assert lease.id not in self.promises, "one tenant for two leases"
        for other in self.promises.values():
            assert material.client_secret != other.secret, "one secret for two leases"
        if request.domain:
            realm = self.world.realm(lease.id)
            if realm is not None:
                assert realm.redirect_uris == (f"https://{request.domain}/*",)
        promise = Promise(
            request.key,
            granted.handle.reveal(),
            material.client_secret,
            lease.deadline,
            request.bound_to,
            request.stack,
        )
        self.promises[lease.id] = promise
        if lease.id not in self.world.realms():
            promise.ended = True  # lost by the server a moment ago; reconciliation revokes it
        return lease.id

    def _alive(self, promise: Promise) -> bool:
        return not promise.ended and promise.deadline >= self.world.clock.boot()

    def _reconciled(self) -> bool:
        workers = self.world.fleet.workers.values()
        # Another server's start may have the same number.
        return self.world.server.up and any(
            worker.server is not None
            and self.world.server_of(worker.instance) is self.world.server
            and worker.server.running.incarnation == str(self.world.server.incarnation)
            for worker in workers
        )

    def _excuse(self, lost: set[TenantId]) -> None:
        for lease in lost:
            if lease in self.promises:
                self.promises[lease].ended = True

    def _survive(self, action: Callable[[], Any], crash: int) -> Any:
        """Run `action`; if `crash`, the service dies at the crash-th point in it and restarts."""
        if crash:
            self.world.faults.arm(crash)
        try:
            return action()
        except SimulatedCrash:
            self._restart()
            return None
        finally:
            self.world.faults.crash_at = 0

    def _restart(self) -> None:
        """The next start gives every active lease its grace; promises get longer, never shorter."""
        self.world.restart()
        for lease in self.world.ledger.leases.active():
            promise = self.promises.get(lease.id)
            if promise:
                promise.deadline = max(promise.deadline, lease.deadline)
