"""What a mutant is, and a provider that passes everything on.

This is a stable interface: a file of anybody's that names a `MUTANT` is loaded by
`warminfra audit --mutant FILE` (see docs/isolation.md). Fields are added at the end, with defaults.
"""

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

Planting = Callable[[Scratch], AbstractContextManager[None]]
"""Puts a fault into a scratch installation for a block, and takes away what it leaves there."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault."""

    id: str
    title: str
    channel: str
    planted: Planting
    classes: tuple[str, ...] = ("user", "admin")
    """Classes of attacker in which it can be planted."""
    applies: Callable[[Template], bool] = lambda _: True
    """Says whether a tenant of the template has what the fault is in."""
    forms: tuple[str, ...] = ()
    """Stealth forms in which it makes sense besides the plain one (see `stealth`)."""
    dear: bool = False
    """Seeing it takes a start of a server: no audit draws it, the self-test plants it."""
    seen_by: str = ""
    """The check that is there for it, where others of its channel see only what comes with it."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A mutant of the specification that cannot exist here."""

    id: str
    title: str
    channel: str
    reason: str


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

    def condemn(self, ref: TenantRef) -> None:
        """Pass it on if the provider can; whose destroy is spoiled has to see that this is not."""
        if hasattr(self.real, "condemn"):
            self.real.condemn(ref)

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
