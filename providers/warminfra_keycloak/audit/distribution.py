"""The distribution for scratch servers: a copy keeps an auditor, who may see and do everything.

Only a scratch installation uses it; no run is ever served by such a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from warminfra.core.entropy import SystemEntropy
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra_keycloak.audit.host import CANARY, CANARY_VARIABLE, DATA
from warminfra_keycloak.audit.looks import AUDITOR
from warminfra_keycloak.distribution import KeycloakDistribution
from warminfra_keycloak.takeover import ServiceAccount, take_over


class AuditedDistribution(KeycloakDistribution):
    """Keycloak with one identity more, and a canary in its environment and among its files."""

    _data: Path | None = None

    def command(
        self, home: Path, data: Path, ports: Mapping[str, int], bootstrap: Secret | None
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command as ever; a copy that will be audited has a canary of its own."""
        argv, environment = super().command(home, data, ports, bootstrap)
        if bootstrap is not None:
            return argv, environment
        self._data, file = data, data / CANARY
        if not file.exists():
            file.write_text(SystemEntropy().token(32))
        return argv, {**environment, CANARY_VARIABLE: file.read_text()}

    def take_over(
        self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        """Re-key as ever; besides maker and looker make the auditor."""
        account = ServiceAccount(f"warminfra-{installation}-auditor", realm_roles=("admin",))
        identity = take_over(access, bootstrap, installation, further={AUDITOR: account})
        assert self._data is not None  # noqa: S101 - it was started by `command`
        canary = Secret((self._data / CANARY).read_text())
        return {**identity, CANARY: canary, DATA: Secret(str(self._data))}
