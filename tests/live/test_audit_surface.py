"""Keycloak's audit surface, on a scratch installation: fit to carry an audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from isolation_checks.mutants.keycloak import auditor
from isolation_checks.scratch import Scratch
from warminfra.core.audit import AuditSurface
from warminfra.core.models import JsonObject
from warminfra.testing.audit_conformance import AuditSurfaceConformance

pytestmark = pytest.mark.live


class TestKeycloakSurface(AuditSurfaceConformance):
    """The suite that ships with the package."""

    @pytest.fixture
    def surface(self, scratch_server: Scratch) -> AuditSurface:
        return scratch_server.surface

    @pytest.fixture
    def lease(self, scratch_server: Scratch) -> Callable[[], JsonObject]:
        return scratch_server.lease

    @pytest.fixture
    def release(self, scratch_server: Scratch) -> Callable[[JsonObject], None]:
        return lambda lease: scratch_server.release(lease)


def test_newcomers_log_in_where_the_realm_has_its_own_ideas_of_users(
    scratch_server: Scratch,
) -> None:
    """Names that are e-mail addresses, and what every new user has to do at the first login."""
    lease = scratch_server.lease()
    realm = f"admin/realms/{lease['tenant']}"
    with auditor(scratch_server) as admin:
        admin.send("PUT", realm, json={"registrationEmailAsUsername": True})
        action = admin.get(f"{realm}/authentication/required-actions/UPDATE_PASSWORD").json()
        admin.send(
            *("PUT", f"{realm}/authentication/required-actions/UPDATE_PASSWORD"),
            json=action | {"defaultAction": True},
        )
    newcomer = scratch_server.surface.fresh(lease)
    kinds = {credential.kind for credential in scratch_server.surface.mint(newcomer)}
    assert kinds == {credential.kind for credential in scratch_server.surface.mint(lease)}
    scratch_server.release(lease)
