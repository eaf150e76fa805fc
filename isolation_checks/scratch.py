"""A scratch installation: the same code and configuration, a server and a ledger of its own.

No run is ever leased here. It goes with the process that made it, however that ends; mutants are
planted here alone, as decorators over the provider and the draw of secrets.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isolation_checks.remains import removed_at_the_end
from warminfra.config.settings import Settings
from warminfra.core.audit import AuditPackage, AuditSurface
from warminfra.core.entropy import Entropy
from warminfra.core.errors import NoCapacity, Unreachable, Usage
from warminfra.core.ids import InstallationId, TenantId
from warminfra.core.models import Granted, JsonObject, LeaseRequest, ServerAccess, TenantMaterial
from warminfra.core.ports import Distribution, Provider
from warminfra.core.states import TenantState
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.material import draw_material
from warminfra.service.admin import enrolled
from warminfra.service.composition import Parts, compose
from warminfra.service.document import lease_document
from warminfra.service.installation import exclusive
from warminfra.service.loops import Loops
from warminfra.service.schemas import EnrollBody

START_PATIENCE, LEASE_PATIENCE, GONE_PATIENCE = 300.0, 60.0, 120.0
RECIPE = "probe"


class Plant:
    """The place where a mutant sits: it decorates the provider and the draw, and leaves again."""

    def __init__(self) -> None:
        self.mutate: Callable[[Provider], Provider] = lambda provider: provider
        self.draw: Callable[[Template, TenantId, Entropy], TenantMaterial] = draw_material

    def clear(self) -> None:
        """Leave the system as it is."""
        self.__init__()  # type: ignore[misc]


class _Switch:
    """A provider that goes through whatever is planted at the moment of each call."""

    def __init__(self, real: Provider, plant: Plant) -> None:
        self._real, self._plant = real, plant

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plant.mutate(self._real), name)


class _Package:
    """The provider package with an auditor on its servers, and a plant in front of them."""

    def __init__(self, real: AuditPackage, plant: Plant) -> None:
        self._real, self._plant = real, plant
        self.name = real.name

    def distribution(self, settings: Mapping[str, Any]) -> Distribution:
        return self._real.audited(settings)

    def external(
        self, settings: Mapping[str, Any], installation: InstallationId
    ) -> ServerAccess | None:
        return None

    def leave(self, settings: Mapping[str, Any], installation: InstallationId) -> None:
        """Nothing of ours is on a server that is not ours."""

    def connect(
        self, access: ServerAccess, installation: InstallationId, settings: Mapping[str, Any]
    ) -> Provider:
        return _Switch(self._real.connect(access, installation, settings), self._plant)

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
        return self._real.template(
            recipe, client, users, admin=admin, realm=realm, settings=settings
        )


@dataclass(slots=True)
class Scratch:
    """Leases and gives back, as the service does, through the service's own parts."""

    parts: Parts
    surface: AuditSurface
    plant: Plant
    template: Template
    access: ServerAccess
    manager: LeaseManager
    _domains: int = field(default=0)

    def lease(self) -> JsonObject:
        """Return the document of a new lease, with a domain of its own."""
        self._domains += 1
        request = LeaseRequest(
            RECIPE, secrets.token_hex(16), domain=f"run-{self._domains}.audit.test"
        )
        deadline = time.monotonic() + LEASE_PATIENCE
        while time.monotonic() < deadline:
            outcome = self.manager.acquire(request)
            if isinstance(outcome, Granted):
                return lease_document(outcome, self.parts.package.name)
            time.sleep(outcome.retry_after)
        raise NoCapacity("the scratch installation grants no lease")

    def release(self, *leases: JsonObject) -> None:
        """Give leases back, and wait until nothing of them is left, as far as the service knows."""
        for lease in leases:
            self.manager.release(TenantId(lease["id"]), lease["handle"])
        deadline = time.monotonic() + GONE_PATIENCE
        while any(not self._gone(lease) for lease in leases):
            if time.monotonic() > deadline:
                raise NoCapacity("a teardown on the scratch installation does not end")
            time.sleep(0.01)

    def _gone(self, lease: JsonObject) -> bool:
        tenant = self.parts.ledger.tenants.get(TenantId(lease["id"]))
        return tenant is None or tenant.state is TenantState.GONE


@contextmanager
def scratch(
    settings: Settings, package: AuditPackage, recipe: Path, tell: Callable[[str], None]
) -> Iterator[Scratch]:
    """Start one for `recipe`; end and remove it afterwards, whatever happens."""
    if settings.keycloak.url:
        raise Usage(
            "an external server is not audited: it cannot be copied",
            hint="unset keycloak.url to audit a server of ours",
        )
    folder = Path(tempfile.mkdtemp(prefix="wi-audit-"))
    plant = Plant()
    own = replace(
        settings,
        service=replace(
            settings.service, state_dir=folder / "state", runtime_dir=folder / "run", group=""
        ),
        sharing=replace(settings.sharing, policy="unproven"),
        keycloak=replace(settings.keycloak, http_port=0, management_port=0),
    )
    with removed_at_the_end(folder), exclusive(own.service.state_dir):
        parts = compose(
            own,
            package=_Package(package, plant),
            draw=lambda template, tenant, entropy: plant.draw(template, tenant, entropy),
        )
        loops = Loops(parts)
        loops.start()
        try:
            access = _access(parts, tell)
            enrolled(parts, RECIPE, EnrollBody(path=str(recipe), pool_min=0, pool_max=0))
            found = parts.ledger.recipes.get(RECIPE)
            assert found is not None  # noqa: S101 - just enrolled
            with closing(package.surface(access)) as surface:
                template = parts.manager.template(found.template_hash)
                yield Scratch(parts, surface, plant, template, access, parts.manager)
        finally:
            loops.stop(instances=True, discard=True)
            parts.ledger.close()


def _access(parts: Parts, tell: Callable[[str], None]) -> ServerAccess:
    deadline = time.monotonic() + START_PATIENCE
    told = ""
    while time.monotonic() < deadline:
        for worker in parts.fleet.workers.values():
            if worker.server is not None:
                return worker.server.running.access
        trouble = parts.fleet.trouble()
        if trouble and trouble != told:
            tell(trouble)
            told = trouble
        time.sleep(0.05)
    raise Unreachable(f"the scratch server did not start: {told}")
