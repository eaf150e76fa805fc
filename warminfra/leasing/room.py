"""How many servers of their own there are to be: one for each request that waits, then spares.

As many as the node's budget has room for beside the warm instances; each instance counts with its
memory limit. Pure decisions over the ledger; the fleet carries them out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from warminfra.core.models import Instance, Recipe, Tenant
from warminfra.core.states import InstanceKind, InstanceState, TenantState
from warminfra.leasing.demand import Demand
from warminfra.leasing.settings import LeasingSettings
from warminfra.ledger import Ledger

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """The node's memory, and who is to have it."""

    ledger: Ledger
    settings: LeasingSettings
    demand: Demand
    shared: Callable[[Recipe], bool]
    """Says whether a lease of the recipe would be shared now."""

    def free(self, rows: Collection[Instance]) -> int:
        """Return the bytes of the budget that no instance has."""
        return self.settings.memory - sum(
            self._cost(row.kind) for row in rows if row.state is not InstanceState.PARKED
        )

    def fits(self, kind: InstanceKind, rows: Collection[Instance]) -> bool:
        """Say whether one more instance of the kind has room."""
        return self.free(rows) >= self._cost(kind)

    def waiting(self) -> int:
        """Count the requests for which a server is still to be had."""
        if not self.demand.waiting(InstanceKind.DEDICATED):
            return 0
        return len(self.demand.unserved(InstanceKind.DEDICATED, self.ledger.tenants.reserved()))

    def spare(self) -> Recipe | None:
        """Return the recipe for which a spare is missing now, or None."""
        return self.spare_among(self.alone(self.ledger.recipes.all()))

    def spare_among(self, alone: Sequence[Recipe]) -> Recipe | None:
        """Return the recipe for which a spare is missing: of those served dedicated the one that
        was leased last. None if there are enough."""
        if not alone or not self.settings.spares:
            return None
        spares = self.spares()
        if len(spares) >= self.settings.spares:
            return None
        last = self.ledger.leases.last_by_recipe()
        newest = sorted(
            alone, key=lambda recipe: last.get(recipe.name, recipe.enrolled_at), reverse=True
        )
        kept = {tenant.template_hash for tenant in spares}
        return next((one for one in newest if one.template_hash not in kept), newest[0])

    def spares(self) -> Sequence[Tenant]:
        """Return the tenants in store, oldest first."""
        found = self.ledger.tenants.in_states((TenantState.CREATING, TenantState.READY))
        kinds = {row.id: row.kind for row in self.ledger.instances.current()}
        return [
            tenant
            for tenant in found
            if not tenant.reserved_for and kinds.get(tenant.instance) is InstanceKind.DEDICATED
        ]

    def alone(self, recipes: Sequence[Recipe]) -> list[Recipe]:
        """Return those that are served dedicated now."""
        return [recipe for recipe in recipes if not self.shared(recipe)]

    def lack(self, rows: Collection[Instance]) -> str:
        """Return why no further dedicated instance can be had, "" if one can."""
        if self.fits(InstanceKind.DEDICATED, rows):
            return ""
        used = sum(row.kind is InstanceKind.DEDICATED for row in rows)
        cost = self._cost(InstanceKind.DEDICATED)
        return (
            f"no memory for another server of one's own: {used} in use, {cost // MIB} MiB each, "
            f"{max(self.free(rows), 0) // MIB} MiB left of {self.settings.memory // MIB} MiB"
        )

    def never(self) -> str:
        """Return why a dedicated instance can never be had here, "" if it can."""
        if self.settings.no_dedicated:
            return self.settings.no_dedicated
        if not self.fits(InstanceKind.DEDICATED, ()):
            cost = self._cost(InstanceKind.DEDICATED)
            return (
                f"a server of one's own takes {cost // MIB} MiB, and all instances may have "
                f"{self.settings.memory // MIB} MiB"
            )
        return ""

    def _cost(self, kind: InstanceKind) -> int:
        settings = self.settings
        return settings.warm_memory if kind is InstanceKind.WARM else settings.dedicated_memory
