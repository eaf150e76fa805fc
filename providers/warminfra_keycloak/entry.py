"""What the entry point names: the Keycloak provider as a whole.

Light to import: Keycloak's client library, cryptography and the HTTP client come with the first
call that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warminfra.core.audit import Row, StockCrossing
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.reach import FindReach, Reach
from warminfra.core.template import ClientSpec, Template, UserSpec

if TYPE_CHECKING:
    from warminfra_keycloak.audit.distribution import AuditedDistribution
    from warminfra_keycloak.audit.surface import KeycloakSurface
    from warminfra_keycloak.distribution import KeycloakDistribution
    from warminfra_keycloak.provider import KeycloakProvider


class KeycloakPackage:
    """`ProviderPackage` of Keycloak. `settings` is always the `[keycloak]` section."""

    name = "keycloak"

    def distribution(
        self, settings: Mapping[str, Any], reach: FindReach = Reach
    ) -> KeycloakDistribution:
        """Return the official distribution, to be run as a process of ours."""
        from warminfra_keycloak.distribution import KeycloakDistribution

        return KeycloakDistribution(settings, reach=reach)

    def external(
        self, settings: Mapping[str, Any], installation: InstallationId
    ) -> ServerAccess | None:
        """Make our identities on the server at `url`, with the admin credentials given for it."""
        from warminfra_keycloak.external import external_access

        return external_access(settings, installation)

    def leave(self, settings: Mapping[str, Any], installation: InstallationId) -> None:
        """Delete our two clients in master of that server, and no more."""
        from warminfra_keycloak.external import leave_external

        leave_external(settings, installation)

    def audited(self, settings: Mapping[str, Any], reach: FindReach = Reach) -> AuditedDistribution:
        """Return the distribution for scratch servers, whose copies keep an auditor."""
        from warminfra_keycloak.audit.distribution import AuditedDistribution

        return AuditedDistribution(settings, reach=reach)

    def surface(self, access: ServerAccess) -> KeycloakSurface:
        """Return a scratch server as the prover sees it."""
        from warminfra_keycloak.audit.surface import KeycloakSurface

        return KeycloakSurface(access)

    def stock_crossings(self) -> Sequence[StockCrossing]:
        """Return what Keycloak itself lets cross between realms."""
        from warminfra_keycloak.audit.stock import STOCK

        return STOCK

    def rows(self, settings: Mapping[str, Any], data: Path, work: Path) -> Sequence[Row]:
        """Return the rows of a scratch server's database, from a copy of its file."""
        from warminfra_keycloak.audit.rows import read_rows
        from warminfra_keycloak.distribution import KeycloakDistribution

        return read_rows(KeycloakDistribution(settings).java.executable, data, work)

    def connect(
        self, access: ServerAccess, installation: InstallationId, settings: Mapping[str, Any]
    ) -> KeycloakProvider:
        """Return the provider for the server; close it in the end. Nothing is sent yet."""
        from warminfra_keycloak.provider import KeycloakProvider

        return KeycloakProvider(access, installation, settings)

    def template(
        self,
        recipe: str,
        client: ClientSpec,
        users: Sequence[UserSpec],
        *,
        admin: bool,
        realm: Mapping[str, Any] | None,
        settings: Mapping[str, Any],
    ) -> tuple[Template, Sequence[str]]:
        """Return the normalised template and a line for each thing taken out of `realm`."""
        from warminfra_keycloak.normalise import make_template

        return make_template(recipe, client, users, admin=admin, realm=realm)
