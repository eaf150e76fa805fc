"""The verbs on a lease: acquire, renew, show, set_domain, hold, release.

Each checks the handle, then the state, and answers with a value or one of the typed errors. A lease
exists only with a tenant in hand; `acquire` either grants one at once or says why to ask again.
"""

from __future__ import annotations

import difflib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from warminfra.core.clock import Clock
from warminfra.core.errors import (
    Conflict,
    LeaseLost,
    NotFound,
    SharingRefused,
    StorageFull,
    Unreachable,
    Usage,
    WarminfraError,
)
from warminfra.core.ids import TemplateHash, TenantId, tenant_name
from warminfra.core.models import (
    Decision,
    Granted,
    Lease,
    LeaseRequest,
    OwnedStack,
    Recipe,
    SharingFacts,
    Tenant,
    TenantRef,
    Waiting,
)
from warminfra.core.secret import Secret
from warminfra.core.states import InstanceKind, LeaseState, StackState
from warminfra.core.template import Template
from warminfra.leasing.bell import Bell
from warminfra.leasing.demand import LATEST, Demand
from warminfra.leasing.fleet import Fleet
from warminfra.leasing.handle import check_handle, handle_of, hash_request, hash_run
from warminfra.leasing.holds import HoldKeeper
from warminfra.leasing.runs import RunKeeper
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.sharing import Gate
from warminfra.leasing.stacks import LOOK_AGAIN, StackKeeper, taken
from warminfra.ledger import Ledger, NotTaken, StackTaken


@dataclass(slots=True)
class LeaseManager:
    """Grants leases and ends them. Safe to call from many threads."""

    ledger: Ledger
    clock: Clock
    settings: LeasingSettings
    gate: Gate
    fleet: Fleet
    demand: Demand
    seal: Secret
    state_dir: Path
    stacks: StackKeeper
    bell: Bell = field(default_factory=Bell)
    """Rings when the workers have something to do."""

    def acquire(self, request: LeaseRequest) -> Granted | Waiting:
        """Grant a lease, or say that the client should ask again with the same key.

        Raises `NotFound` (recipe), `Usage` (ttl), `SharingRefused`, `StorageFull`, `Conflict` (key
        of another recipe, a stack that exists or is another lease's), `LeaseLost` (the key's lease
        has ended), `Unreachable` (the domain could not be applied, or the stack's engine does not
        answer: nothing is leased then).
        """
        started = time.perf_counter()
        ttl = self._ttl(request.ttl)
        key_hash = hash_request(request.key, request.run, request.slot, self.seal)
        known = self.ledger.leases.by_key(key_hash)
        if known is not None:
            granted = self._again(known, request)
        else:
            outcome = self._take(request, key_hash, ttl)
            if isinstance(outcome, Waiting):
                return outcome
            granted = outcome
        taken = time.perf_counter()
        if request.domain and granted.lease.domain != request.domain:
            try:
                granted = self._personalised(granted, request.domain)
            except WarminfraError as error:
                self._take_back(granted, f"its domain could not be applied: {error.message}")
                raise
        done = time.perf_counter()
        return replace(
            granted,
            timing={
                "take_ms": (taken - started) * 1000,
                "personalise_ms": (done - taken) * 1000,
                "total_ms": (done - started) * 1000,
            },
        )

    def await_turn(self, request: LeaseRequest, told: Waiting, seconds: float) -> Waiting:
        """Hold back what a request is `told` while its tenant is made, if that is the next one;
        then ask again at once (0). At most `seconds`."""
        key_hash = hash_request(request.key, request.run, request.slot, self.seal)
        again = self.demand.listen(key_hash, seconds)
        return told if again is None else replace(told, retry_after=again)

    def withdraw(self, key: str, run: str = "", slot: str = "") -> None:
        """Take a request back: it waits no more, and the lease that it may have got ends."""
        key_hash = hash_request(key, run, slot, self.seal)
        self._waits_no_more(key_hash)
        lease = self.ledger.leases.by_key(key_hash)
        if lease is not None:
            why = "its request was withdrawn"
            self.ledger.leases.end(lease.id, LeaseState.RELEASED, why, self.clock.wall())
        self.bell.ring()

    def renew(self, lease_id: TenantId, handle: str, ttl: float = 0.0) -> Lease:
        """Move the deadline to now plus `ttl` (0: the lease's own), or leave it at the end of a
        hold that is later. Raises `LeaseLost`."""
        lease = self._held(lease_id, handle)
        ttl = self._ttl(ttl) if ttl else lease.ttl
        deadline = self.clock.boot() + ttl
        expires_at = self.clock.wall() + timedelta(seconds=ttl)
        renewed = self.ledger.leases.renew(lease_id, ttl, deadline, expires_at)
        if renewed is None:
            raise self._lost(self._known(lease_id))
        return renewed

    def show(self, lease_id: TenantId, handle: str) -> Granted:
        """Return an active lease with all its secrets."""
        return self._grant(self._held(lease_id, handle))

    def set_domain(self, lease_id: TenantId, handle: str, domain: str) -> Granted:
        """Apply the run's domain to the client's redirect URIs."""
        return self._personalised(self.show(lease_id, handle), domain)

    def attach(self, lease_id: TenantId, handle: str, stack: str) -> list[OwnedStack]:
        """Let the lease own a stack that was made after it, or is yet to be made.

        Twice is fine. Raises `Conflict` if the stack is older, or another lease's.
        """
        lease = self._held(lease_id, handle)
        self.stacks.adopt(lease_id, stack, lease.created_at)
        return self.ledger.stacks.of(lease_id)

    def hand_over(self, granted: Granted, stack: str, secrets: Mapping[str, Secret]) -> None:
        """Make the stack's Swarm secrets; if that fails nothing new is leased."""
        try:
            self.stacks.make_secrets(granted.lease.id, stack, secrets)
        except WarminfraError as error:
            self._take_back(granted, f"its secrets could not be made: {error.message}")
            raise

    @property
    def holds(self) -> HoldKeeper:
        """Return who knows what is held."""
        return HoldKeeper(self.ledger, self.clock, self.settings, self.stacks)

    @property
    def runs(self) -> RunKeeper:
        """Return who ends whole runs."""
        return RunKeeper(self.ledger, self.clock, self.seal, self.bell)

    def hold(self, lease_id: TenantId, handle: str, seconds: float) -> Lease:
        """Keep the lease for a look, its holder living or not. Raises as `HoldKeeper.hold`."""
        return self.holds.hold(self._held(lease_id, handle), seconds)

    def release(self, lease_id: TenantId, handle: str, *, unless_held: bool = False) -> Lease:
        """End the lease, or with `unless_held` let one be that is held; its teardown begins.

        Twice is fine.
        """
        check_handle(lease_id, handle, self.seal)
        lease = self._known(lease_id)
        now = self.clock.wall()
        if unless_held and lease.is_held(now):
            return lease
        self.ledger.leases.end(lease_id, LeaseState.RELEASED, "released by its holder", now)
        self.bell.ring()
        return self._known(lease_id)

    def revoke(self, lease_id: TenantId, why: str) -> tuple[Lease, Tenant]:
        """End a lease by an admin's word, held or not, without its handle; twice is fine."""
        self._known(lease_id)
        self.ledger.leases.end(lease_id, LeaseState.REVOKED, why, self.clock.wall())
        self.bell.ring()
        return self._with_tenant(lease_id)

    def whereabouts(self, lease_id: TenantId, handle: str) -> tuple[Lease, Tenant]:
        """Return lease and tenant in whatever state: how far its teardown is."""
        check_handle(lease_id, handle, self.seal)
        return self._with_tenant(lease_id)

    def template(self, template_hash: TemplateHash) -> Template:
        """Return a template of the ledger."""
        return self.ledger.recipes.template(template_hash)

    def decide(self, facts: SharingFacts, recipe: Recipe) -> Decision:
        """Say in which mode the recipe is served now, and why."""
        return self.gate.decide(facts, self.template(recipe.template_hash), self.clock.wall())

    def unreserve(self) -> None:
        """Give what was made for requests that wait no more to everybody. Cheap; called often."""
        for key_hash in self.ledger.tenants.reserved() - self.demand.alive():
            self.ledger.tenants.unreserve(key_hash)

    # ------------------------------------------------------------ parts of acquire

    def _take(self, request: LeaseRequest, key_hash: str, ttl: float) -> Granted | Waiting:
        self._check_disk()
        if request.stack:
            self.stacks.require_free(request.stack)
        now = self.clock.wall()
        run_key = hash_run(request.run_key or request.key, request.run, self.seal)

        def new_lease(tenant: TenantId, decision: Decision) -> Lease:
            return Lease(
                id=tenant,
                recipe=request.recipe,
                run=request.run,
                slot=request.slot,
                state=LeaseState.ACTIVE,
                mode=decision.mode,
                mode_reason=decision.reason,
                verdict=decision.verdict,
                key_hash=key_hash,
                domain="",
                ttl=ttl,
                deadline=self.clock.boot() + ttl,
                expires_at=now + timedelta(seconds=ttl),
                boot_id=self.clock.boot_id(),
                bound_to=request.bound_to,
                created_at=now,
                ended_at=None,
                end_reason="",
                run_key=run_key,
            )

        outcome = self.ledger.leases.take(
            request.recipe,
            key_hash,
            self.decide,
            new_lease,
            now,
            ahead=self.demand.ahead(key_hash, request.recipe),
            stack=request.stack,
        )
        if isinstance(outcome, Lease):  # to the same request, asked twice at once
            self._waits_no_more(key_hash)
            return self._again(outcome, request)
        if isinstance(outcome, StackTaken):
            if outcome.stack.state is not StackState.REMOVING:
                raise taken(outcome.stack)
            why = f"stack {request.stack} of an earlier lease is being removed"
            return Waiting(why, 1, LOOK_AGAIN)
        if isinstance(outcome, NotTaken):
            return self._wait(request, key_hash, outcome)
        self._waits_no_more(key_hash)
        if self.demand.took(self.settings.refill_pause):
            self.bell.ring()
        handle = handle_of(outcome.lease.id, self.seal)
        return Granted(outcome.lease, outcome.tenant, outcome.recipe, handle, fresh=True)

    def _waits_no_more(self, key_hash: str) -> None:
        """Take a request off the queue; what is made for it, and is not its own, is anybody's."""
        if self.demand.done(key_hash):
            self.ledger.tenants.unreserve(key_hash)

    def _wait(self, request: LeaseRequest, key_hash: str, outcome: NotTaken) -> Waiting:
        if outcome.recipe is None or outcome.decision is None:
            raise self._unknown_recipe(request.recipe)
        kind = outcome.decision.kind
        if kind is InstanceKind.DEDICATED and (never := self.fleet.room.never()):
            raise SharingRefused(
                f"{request.recipe} may not share an instance ({outcome.decision.reason}), "
                f"and {never}",
                hint="raise instances.memory, or see `warminfra status` for the gate",
            )
        new = self.demand.recipe_of(key_hash) != request.recipe
        if new:  # with the key of one that waits for another recipe, and has been given up
            self._waits_no_more(key_hash)
        place, again = self.demand.ask(key_hash, request.recipe, kind)
        self.bell.ring()
        if new and kind is InstanceKind.DEDICATED:
            self.fleet.bell.ring()
        trouble = self.demand.trouble(key_hash) or self.fleet.trouble(kind)
        reason = trouble or "no tenant is ready; one is being made"
        return Waiting(reason, place, LATEST if trouble else again)

    def _again(self, lease: Lease, request: LeaseRequest) -> Granted:
        if lease.recipe != request.recipe:
            raise Conflict(
                f"the key given belongs to a lease of {lease.recipe}, not {request.recipe}",
                hint="use one key for each recipe and slot",
            )
        if lease.state is not LeaseState.ACTIVE:
            raise self._lost(lease)
        if request.stack and request.stack not in [s.name for s in self.ledger.stacks.of(lease.id)]:
            raise Conflict(
                f"the key given belongs to a lease that does not own stack {request.stack}",
                hint="use one key for each stack, or `warminfra attach`",
            )
        return self._grant(lease)

    def _personalised(self, granted: Granted, domain: str) -> Granted:
        lease, tenant = granted.lease, granted.tenant
        provider = self.fleet.provider(tenant.instance)
        if provider is None or tenant.material is None:
            raise Unreachable(
                f"instance {tenant.instance} is down: {self.fleet.trouble()}", hint="ask again"
            )
        provider.personalise(
            TenantRef(tenant.id, tenant_name(tenant.id)),
            self.template(tenant.template_hash).client,
            tenant.material,
            domain,
        )
        if not self.ledger.leases.set_domain(lease.id, domain):
            raise self._lost(self._known(lease.id))
        return replace(granted, lease=replace(lease, domain=domain))

    def _take_back(self, granted: Granted, why: str) -> None:
        """A lease that is not whole never reaches its holder: nothing half done.

        One that was asked for again has its holder, and is none the worse.
        """
        if not granted.fresh:
            return
        self.ledger.leases.end(
            granted.lease.id,
            LeaseState.REVOKED,
            why,
            self.clock.wall(),
            forget_key=True,
        )
        self.bell.ring()

    # ------------------------------------------------------------ checks

    def _ttl(self, ttl: float) -> float:
        if ttl == 0:
            return self.settings.ttl
        if not 1 <= ttl <= self.settings.max_ttl:
            raise Usage(
                f"ttl of {ttl:g} s is not within 1 s and {self.settings.max_ttl:g} s",
                hint="ask for less and renew, or raise leases.max_ttl",
            )
        return ttl

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.state_dir).free
        if free < self.settings.disk_reserve:
            raise StorageFull(
                f"{free // 2**20} MiB free on the disk of {self.state_dir}, below the reserve of "
                f"{self.settings.disk_reserve // 2**20} MiB",
                hint="free disk space; releases still work",
            )

    def _known(self, lease_id: TenantId) -> Lease:
        lease = self.ledger.leases.get(lease_id)
        if lease is None:
            raise NotFound(f"no lease {lease_id}", hint="`warminfra leases` lists them")
        return lease

    def _with_tenant(self, lease_id: TenantId) -> tuple[Lease, Tenant]:
        lease = self._known(lease_id)
        tenant = self.ledger.tenants.get(lease_id)
        if tenant is None:
            raise NotFound(f"no tenant {lease_id}")
        return lease, tenant

    def _held(self, lease_id: TenantId, handle: str) -> Lease:
        check_handle(lease_id, handle, self.seal)
        lease = self._known(lease_id)
        if lease.state is not LeaseState.ACTIVE:
            raise self._lost(lease)
        return lease

    def _grant(self, lease: Lease) -> Granted:
        tenant = self.ledger.tenants.get(lease.id)
        recipe = self.ledger.recipes.get(lease.recipe)
        if tenant is None or tenant.material is None:
            raise self._lost(self._known(lease.id))
        if recipe is None:
            recipe = Recipe(
                lease.recipe, "", tenant.template_hash, {}, {}, 0, 0, enrolled_at=lease.created_at
            )
        return Granted(lease, tenant, recipe, handle_of(lease.id, self.seal))

    def _lost(self, lease: Lease) -> LeaseLost:
        return LeaseLost(f"lease {lease.id} is {lease.state}: {lease.end_reason}")

    def _unknown_recipe(self, name: str) -> NotFound:
        known = [recipe.name for recipe in self.ledger.recipes.all()]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "enrol it: `warminfra enroll RECIPE PATH`"
        return NotFound(f"no recipe {name!r} is enrolled", hint=hint)
