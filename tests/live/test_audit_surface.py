"""Keycloak's audit surface, on a scratch installation: fit to carry an audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
