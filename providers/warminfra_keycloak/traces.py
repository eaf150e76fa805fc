"""What a realm leaves in master: the client it is managed by, that client's roles, composites.

Keycloak makes `<realm>-realm` in master with 21 roles, each a part of master's role `admin`. Its
schema ties a composite to an existing role, but a role to no existing client, so a role may outlive
its client: each is looked for by its own id. All queries but `orphans` cost the same at any number
of realms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT_ROLES,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE,
    URL_ADMIN_REALM_ROLES_ROLE_BY_ID,
)

from warminfra.core.models import JsonObject
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection

_NOT_FOUND = 404
_MASTER = {"realm-name": "master"}


@dataclass(frozen=True, slots=True)
class ManagementRole:
    """A role in master through which a realm is managed."""

    id: str
    name: str


class MasterTraces:
    """Looks into master with a view-only identity."""

    def __init__(self, looker: AdminConnection) -> None:
        self._looker = looker

    def clients(self, realm: str) -> list[str]:
        """Return ids of the clients in master by which the realm of that name is managed."""
        response = self._looker.get(
            URL_ADMIN_CLIENTS.format(**_MASTER), params={"clientId": f"{realm}-realm"}
        )
        return [client["id"] for client in response.json()]

    def roles(self, realm: str) -> tuple[ManagementRole, ...]:
        """Return the roles of those clients, to be looked for by id when the realm is gone."""
        found: list[ManagementRole] = []
        for client in self.clients(realm):
            path = URL_ADMIN_CLIENT_ROLES.format(**_MASTER, id=client)
            response = self._looker.get(path, allow=(_NOT_FOUND,))
            if response.status_code != _NOT_FOUND:
                found += [ManagementRole(role["id"], role["name"]) for role in response.json()]
        return tuple(found)

    def left(self, roles: Sequence[ManagementRole]) -> list[ManagementRole]:
        """Return those of the roles that still exist; no role, no composite with it."""
        return [role for role in roles if self._exists(role)]

    def orphans(self) -> list[str]:
        """Return a line for each part of master's `admin` whose client is gone, whoever left it.

        For the look at a whole server: its cost grows with the number of realms. Realms may come
        and go meanwhile: an orphan was there both before and after the clients were listed.
        """
        before = self._parts_of_admin()
        clients = self._looker.get(URL_ADMIN_CLIENTS.format(**_MASTER), timeout=SLOW_TIMEOUT).json()
        known = {client["id"] for client in clients}
        left = {role: part for role, part in before.items() if part["containerId"] not in known}
        if left:
            after = self._parts_of_admin()
            left = {role: part for role, part in left.items() if role in after}
        return sorted(
            f"role {part['name']} ({role}) of client {part['containerId']}, which is gone"
            for role, part in left.items()
        )

    def _parts_of_admin(self) -> dict[str, JsonObject]:
        """Return the client roles that master's role `admin` is made of, by their ids."""
        path = URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE.format(
            **_MASTER, **{"role-name": "admin"}
        )
        parts = self._looker.get(path, timeout=SLOW_TIMEOUT).json()
        return {part["id"]: part for part in parts if part.get("clientRole")}

    def _exists(self, role: ManagementRole) -> bool:
        path = URL_ADMIN_REALM_ROLES_ROLE_BY_ID.format(**_MASTER, **{"role-id": role.id})
        return self._looker.get(path, allow=(_NOT_FOUND,)).status_code != _NOT_FOUND
