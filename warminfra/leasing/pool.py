"""Keeps tenants ready: as many of each recipe as it asks for, of its present template only.

The pool is filled only while its recipe would be served `shared`; what no recipe wants is retired.
"""

from __future__ import annotations

from dataclasses import dataclass

from warminfra.core.clock import Clock
from warminfra.core.models import Recipe
from warminfra.leasing.server import Server
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.sharing import Gate
from warminfra.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Pool:
    """Decides what to make next and what to retire."""

    ledger: Ledger
    clock: Clock
    settings: LeasingSettings
    gate: Gate

    def shared(self, recipe: Recipe) -> bool:
        """Say whether a lease of the recipe would be shared now."""
        template = self.ledger.recipes.template(recipe.template_hash)
        facts = self.ledger.sharing.facts()
        return self.gate.decide(facts, template, self.clock.wall()).mode == "shared"

    def wanting(self, server: Server) -> Recipe | None:
        """Return the recipe whose pool is furthest below its maximum in share, minimums first."""
        if self.ledger.instances.live_tenants(server.id) >= self.settings.soft_cap:
            return None
        short: list[tuple[bool, float, Recipe]] = []
        for recipe in self.ledger.recipes.all():
            pooled = self.ledger.tenants.pooled(recipe.template_hash)
            if pooled < recipe.pool_max and self.shared(recipe):
                short.append((pooled >= recipe.pool_min, pooled / recipe.pool_max, recipe))
        short.sort(key=lambda entry: (entry[0], entry[1], entry[2].name))
        return short[0][2] if short else None

    def retire_unwanted(self) -> int:
        """Retire pooled tenants that no recipe wants now: of an old template, of a recipe that may
        not share, or more than the pool's maximum; return how many."""
        wanted = {
            recipe.template_hash: recipe.pool_max
            for recipe in self.ledger.recipes.all()
            if self.shared(recipe)
        }
        now = self.clock.wall()
        return sum(
            self.ledger.tenants.retire_surplus(template_hash, wanted.get(template_hash), now)
            for template_hash in self.ledger.tenants.pooled_templates()
        )
