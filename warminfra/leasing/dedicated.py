"""The work on a dedicated instance: it is made for one tenant, and ends with that tenant.

An instance belongs to nobody until its tenant is made: then to the request that has waited longest
or, if none waits, to the store as a spare for a recipe that is served dedicated. When the tenant is
retired, whatever the reason, the server is killed and its data removed: nothing is left that a look
could find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from warminfra.core.errors import WarminfraError
from warminfra.core.models import Recipe
from warminfra.core.states import InstanceKind, InstanceState, TenantState
from warminfra.leasing.server import Server
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.leasing.worker import Worker


@dataclass(slots=True, kw_only=True)
class DedicatedWorker(Worker):
    """Owns one dedicated instance."""

    kind: ClassVar[InstanceKind] = InstanceKind.DEDICATED

    spare: Callable[[], Recipe | None]
    """Says for which recipe a spare is missing."""

    def step(self) -> str:
        """Do the next thing; return its name, or "" if there is nothing to do now."""
        if self._over():
            self.stop(discard=True)
            return "ended"
        return Worker.step(self)

    def stop(self, *, discard: bool) -> None:
        """Stop the server's process; with `discard` for good, data, tenant and all."""
        if not discard:
            return Worker.stop(self, discard=False)
        self.server = None
        for state in (InstanceState.DRAINING, InstanceState.STOPPING):
            self.ledger.instances.move(self.instance, state)
        try:
            self.launcher.stop(self.instance, discard=True)
        except WarminfraError as error:
            # What cannot be removed shows as quarantine.
            for tenant in self.ledger.tenants.in_states((TenantState.RETIRING,), self.instance):
                self.teardown.put_off(tenant, error.message)
            raise
        if self.ledger.tenants.gone_with(self.instance, self.clock.wall()):
            self.ledger.instances.move(self.instance, InstanceState.STOPPED)
        return None

    def _over(self) -> bool:
        """Say whether the tenant is to be taken down now, or there is none and will be none."""
        state = self._state()
        if state is InstanceState.STOPPED:
            return False
        due = self.ledger.tenants.due_for_teardown(
            self.instance, self.clock.boot(), QUARANTINE_AFTER
        )
        leaving = state in (InstanceState.DRAINING, InstanceState.STOPPING)
        return due is not None or (
            leaving and not self.ledger.instances.live_tenants(self.instance)
        )

    def _greet(self, server: Server) -> None:
        """See that both identities are let in: a start at which one is not failed, and backs off.

        Nothing else asks as the one who looks before the first look at the server's health.
        """
        server.provider.health()

    def _work(self, server: Server, state: InstanceState) -> str:
        if state is InstanceState.READY and not self.ledger.instances.live_tenants(self.instance):
            row = self.ledger.instances.get(self.instance)
            if row is None or row.made:  # it has had its tenant, whom only a lost ledger knew
                self.ledger.instances.move(self.instance, InstanceState.DRAINING)
                return "drained"
            did = self._serve(server) or self._store(server)
            if did:
                return did
        return self._check_health(server)

    def _serve(self, server: Server) -> str:
        ticket = self.demand.claim(self.kind, self.ledger.tenants.reserved())
        return self._make_for(server, ticket, ticket.begun) if ticket else ""

    def _store(self, server: Server) -> str:
        recipe = self.spare()
        if recipe is None:
            return ""
        return "trouble" if self._make(server, recipe) else "spare made"
