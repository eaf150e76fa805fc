"""Mutants of the service around its provider: files, logs, order, clocks, copies.

M25, M32, M33, M36, M45, M46, M48, M49.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import structlog
from keycloak.urls_patterns import URL_ADMIN_REALM

from isolation_checks.mutants.base import Decorator, Planting
from isolation_checks.mutants.keycloak import auditor
from isolation_checks.scratch import Scratch
from warminfra.core.clock import Clock
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import WarminfraError
from warminfra.core.ids import InstallationId, tenant_name
from warminfra.core.models import FoundTenant, ServerAccess, TenantFacts, TenantPlan, TenantRef
from warminfra.core.ports import Provider
from warminfra.core.secret import Secret
from warminfra_keycloak.audit.looks import AUDITOR
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.takeover import (
    BOOTSTRAP_CLIENT,
    ServiceAccount,
    looker_of,
    make_service_account,
    maker_of,
)

LATE = 0.3
"""Seconds by which a teardown comes late (M25)."""
SKEW = 7200.0
"""Seconds by which the reaper's clock is ahead (M36)."""


def provided(decorate: Callable[[Scratch], Callable[[Provider], Provider]]) -> Planting:
    """Plant a decorator over the provider that leaves nothing behind."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        scratch.plant.mutate = decorate(scratch)
        try:
            yield
        finally:
            scratch.plant.clear()

    return planted


@contextmanager
def late_teardown(scratch: Scratch) -> Iterator[None]:
    """M25: a teardown that was thought to be done comes late, and hits the lease that came next."""
    late: list[threading.Timer] = []
    ended: list[TenantRef] = []

    class Late(Decorator):
        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            made = self.real.create_tenant(plan)
            if ended:
                ended.clear()
                late.append(threading.Timer(LATE, _quietly(self.real.destroy_tenant), [plan.ref]))
                late[-1].start()
            return made

        def destroy_tenant(self, ref: TenantRef) -> None:
            self.real.destroy_tenant(ref)
            ended.append(ref)

    scratch.plant.mutate = Late
    try:
        yield
    finally:
        scratch.plant.clear()
        for timer in late:
            timer.cancel()
            timer.join()


@contextmanager
def not_serialised(scratch: Scratch) -> Iterator[None]:
    """M33: teardowns run by themselves, whatever else the server is doing."""
    under_way: list[threading.Thread] = []
    ended: list[tuple[Provider, TenantRef]] = []

    class Hasty(Decorator):
        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            _unlock(self.real)
            return self.real.create_tenant(plan)

        def destroy_tenant(self, ref: TenantRef) -> None:
            _unlock(self.real)
            thread = threading.Thread(target=_quietly(self.real.destroy_tenant), args=[ref])
            under_way.append(thread)
            ended.append((self.real, ref))
            thread.start()

        def verify_gone(self, ref: TenantRef) -> Sequence[str]:
            return []

    scratch.plant.mutate = Hasty
    try:
        yield
    finally:
        scratch.plant.clear()
        for thread in under_way:
            thread.join()
        for lock, provider in _LOCKS:
            provider._making = lock
        _LOCKS.clear()
        for real, ref in ended:
            real.destroy_tenant(ref)  # what failed in the crowd, if anything did


_LOCKS: list[tuple[Any, Any]] = []


def _unlock(noted: Provider) -> None:
    """Take the provider's own lock away: two guards keep the order, and both have to fall."""
    provider: Any = object.__getattribute__(noted, "_real")
    if not isinstance(provider._making, nullcontext):
        _LOCKS.append((provider._making, provider))
        provider._making = nullcontext()


def _quietly(call: Callable[[TenantRef], None]) -> Callable[[TenantRef], None]:
    def quiet(ref: TenantRef) -> None:
        with suppress(WarminfraError):
            call(ref)

    return quiet


@contextmanager
def file_left(scratch: Scratch) -> Iterator[None]:
    """M32: the lease's credentials are written to a file, which nobody removes."""
    folder = scratch.folder / "state" / "credentials"
    files: list[Path] = []

    class Writing(Decorator):
        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            made = self.real.create_tenant(plan)
            folder.mkdir(mode=0o700, exist_ok=True)
            files.append(folder / f"{plan.ref.name}.json")
            files[-1].write_text(plan.material.to_json())
            return made

    scratch.plant.mutate = Writing
    try:
        yield
    finally:
        scratch.plant.clear()
        for file in files:
            file.unlink(missing_ok=True)


def told_in_the_log(scratch: Scratch) -> Callable[[Provider], Provider]:
    """M45: the service logs what it made, secrets and all."""

    class Telling(Decorator):
        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            made = self.real.create_tenant(plan)
            structlog.get_logger().info("tenant made", material=plan.material.to_json())
            return made

    return Telling


@contextmanager
def told_in_arguments(scratch: Scratch) -> Iterator[None]:
    """M45: a helper process gets a secret as its argument."""
    helpers: list[subprocess.Popen[bytes]] = []

    class Calling(Decorator):
        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            made = self.real.create_tenant(plan)
            idle = "import time; time.sleep(1)"
            secret = plan.material.client_secret
            helpers.append(subprocess.Popen([sys.executable, "-c", idle, f"--secret={secret}"]))
            return made

    scratch.plant.mutate = Calling
    try:
        yield
    finally:
        scratch.plant.clear()
        for helper in helpers:
            helper.kill()
            helper.wait()


@contextmanager
def skewed_reaper(scratch: Scratch) -> Iterator[None]:
    """M36: the reaper's clock is two hours ahead of the one that deadlines are made by."""

    class Ahead:
        def __init__(self, real: Clock) -> None:
            self.wall, self.boot_id, self._real = real.wall, real.boot_id, real

        def boot(self) -> float:
            return self._real.boot() + SKEW

    scratch.plant.reaper_clock = Ahead
    try:
        yield
    finally:
        scratch.plant.clear()


@contextmanager
def unwritten(scratch: Scratch) -> Iterator[None]:
    """M46: the ledger is written after the server was told, and only the ledger knows what is ours.

    A crash in between leaves a tenant that nobody has ever heard of.
    """
    real_tenants = scratch.parts.ledger.tenants
    unknown: set[TenantRef] = set()

    class Forgetful:
        def __init__(self) -> None:
            self._intents: dict[str, Mapping[str, Any]] = {}

        def __getattr__(self, name: str) -> Any:
            return getattr(real_tenants, name)

        def intend(self, tenant: str, **intent: Any) -> None:
            self._intents[tenant] = intent

        def made(self, tenant: Any, *facts: Any) -> bool:
            real_tenants.intend(tenant, **self._intents.pop(tenant))
            return real_tenants.made(tenant, *facts)

    class Blind(Decorator):
        def list_tenants(self) -> Sequence[FoundTenant]:
            found = self.real.list_tenants()
            known = scratch.parts.ledger.tenants
            unknown.update(one.ref for one in found if known.get(one.ref.id) is None)
            return [one for one in found if known.get(one.ref.id) is not None]

    scratch.parts.ledger.tenants = Forgetful()  # type: ignore[assignment]
    scratch.plant.mutate = Blind
    try:
        yield
    finally:
        scratch.plant.clear()
        if isinstance(scratch.parts.ledger.tenants, Forgetful):
            scratch.parts.ledger.tenants = real_tenants
        with auditor(scratch) as admin:
            for ref in unknown:
                path = URL_ADMIN_REALM.format(**{"realm-name": ref.name})
                admin.send("DELETE", path, timeout=30.0, allow=(404,))


@contextmanager
def owned_by_name(scratch: Scratch) -> Iterator[None]:
    """M49: a tenant is known by its name; one that was renamed is nobody's, and gone."""
    renamed: set[str] = set()

    class ByName(Decorator):
        def condemn(self, ref: TenantRef) -> None:
            if ref in self._refs():
                super().condemn(ref)

        def destroy_tenant(self, ref: TenantRef) -> None:
            renamed.update(one.name for one in self._refs() if _was_renamed(one))
            if ref in self._refs():
                self.real.destroy_tenant(ref)

        def verify_gone(self, ref: TenantRef) -> Sequence[str]:
            return [ref.name] if ref in self._refs() else []

        def list_tenants(self) -> Sequence[FoundTenant]:
            return [FoundTenant(one) for one in self._refs() if not _was_renamed(one)]

        def _refs(self) -> list[TenantRef]:
            return [one.ref for one in self.real.list_tenants()]

    scratch.plant.mutate = ByName
    try:
        yield
    finally:
        scratch.plant.clear()
        with auditor(scratch) as admin:
            for name in renamed:
                path = URL_ADMIN_REALM.format(**{"realm-name": name})
                admin.send("DELETE", path, timeout=30.0, allow=(404,))


def _was_renamed(ref: TenantRef) -> bool:
    return ref.name != tenant_name(ref.id)


@contextmanager
def not_rekeyed(scratch: Scratch) -> Iterator[None]:
    """M48: a copied server keeps the keys that every copy has."""

    class Lazy:
        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def take_over(
            self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
        ) -> Mapping[str, Secret]:
            auditor_of = ServiceAccount(f"warminfra-{installation}-auditor", realm_roles=("admin",))
            accounts = {
                "maker": maker_of(installation),
                "looker": looker_of(installation),
                AUDITOR: auditor_of,
            }
            identity = {}
            connection = AdminConnection(
                access.base_url, BOOTSTRAP_CLIENT, bootstrap, ca_file=access.ca_file
            )
            with closing(connection) as admin:
                for name, account in accounts.items():
                    identity[f"{name}_id"] = Secret(account.client_id)
                    secret = make_service_account(admin, account, SystemEntropy())
                    identity[f"{name}_secret"] = secret
            return identity

    scratch.plant.distribute = Lazy
    try:
        yield
    finally:
        scratch.plant.clear()
