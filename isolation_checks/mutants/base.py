"""What a mutant is, and a provider that passes everything on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from isolation_checks.scratch import Scratch
from warminfra.core.models import (
    Capabilities,
    FoundTenant,
    TenantFacts,
    TenantMaterial,
    TenantPlan,
    TenantRef,
)
from warminfra.core.ports import Provider
from warminfra.core.template import ClientSpec, Template


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault. `planted` puts it into a scratch installation for a block."""

    id: str
    title: str
    channel: str
    planted: Callable[[Scratch], AbstractContextManager[None]]
    classes: tuple[str, ...] = ("user", "admin")
    applies: Callable[[Template], bool] = lambda _: True
    """Says whether a tenant of the template has what the fault is in."""


class Decorator:
    """A provider in front of another; mutants override what they spoil."""

    def __init__(self, real: Provider) -> None:
        self.real = real

    def create_tenant(self, plan: TenantPlan) -> TenantFacts:
        return self.real.create_tenant(plan)

    def personalise(
        self, ref: TenantRef, client: ClientSpec, material: TenantMaterial, domain: str
    ) -> None:
        self.real.personalise(ref, client, material, domain)

    def destroy_tenant(self, ref: TenantRef) -> None:
        self.real.destroy_tenant(ref)

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        return self.real.verify_gone(ref)

    def list_tenants(self) -> Sequence[FoundTenant]:
        return self.real.list_tenants()

    def health(self) -> None:
        self.real.health()

    def fingerprint(self) -> Mapping[str, str]:
        return self.real.fingerprint()

    def capabilities(self) -> Capabilities:
        return self.real.capabilities()
