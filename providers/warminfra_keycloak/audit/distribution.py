"""The distribution for scratch servers: a copy keeps an auditor, who may see and do everything.

Only a scratch installation uses it; no run is ever served by such a server.
"""

from __future__ import annotations

from collections.abc import Mapping

from warminfra.core.ids import InstallationId
from warminfra.core.secret import Secret
from warminfra_keycloak.audit.surface import AUDITOR
from warminfra_keycloak.distribution import KeycloakDistribution
from warminfra_keycloak.takeover import ServiceAccount, take_over


class AuditedDistribution(KeycloakDistribution):
    """Keycloak with one identity more."""

    def take_over(
        self, base_url: str, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        """Re-key as ever; besides maker and looker make the auditor."""
        account = ServiceAccount(f"warminfra-{installation}-auditor", realm_roles=("admin",))
        return take_over(base_url, bootstrap, installation, further={AUDITOR: account})
