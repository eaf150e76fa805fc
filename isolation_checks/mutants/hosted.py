"""Tenants that are somewhere else than the service believes: in a realm that is another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isolation_checks.mutants.base import Decorator
from warminfra.core.ids import TenantId, tenant_name
from warminfra.core.models import FoundTenant, TenantMaterial, TenantRef
from warminfra.core.template import ClientSpec


class Hosted(Decorator):
    """A provider that tells of every guest as if it had a realm of its own."""

    hosts: Mapping[str, TenantRef]
    """The guest's internal id → where it is."""

    def personalise(
        self, ref: TenantRef, client: ClientSpec, material: TenantMaterial, domain: str
    ) -> None:
        self.real.personalise(self.hosts.get(ref.id, ref), client, material, domain)

    def condemn(self, ref: TenantRef) -> None:
        if ref.id not in self.hosts:
            super().condemn(ref)

    def destroy_tenant(self, ref: TenantRef) -> None:
        if ref.id not in self.hosts:
            self.real.destroy_tenant(ref)

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        return [] if ref.id in self.hosts else self.real.verify_gone(ref)

    def list_tenants(self) -> Sequence[FoundTenant]:
        guests = [TenantId(guest) for guest in self.hosts]
        return [
            *(found for found in self.real.list_tenants() if found.ref.id not in self.hosts),
            *(FoundTenant(TenantRef(guest, tenant_name(guest))) for guest in guests),
        ]
