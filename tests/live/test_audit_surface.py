"""Keycloak's audit surface, on a scratch installation: fit to carry an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import isolation_checks
from isolation_checks.scratch import Scratch, scratch
from warminfra.config import load
from warminfra.core.audit import AuditPackage, AuditSurface
from warminfra.core.models import JsonObject
from warminfra.service.composition import provider_package
from warminfra.testing.audit_conformance import AuditSurfaceConformance

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("prover")]

RECIPE = Path(isolation_checks.__file__).parent / "recipes" / "user"


@pytest.fixture(scope="module")
def server(live_cache: Path) -> Iterator[Scratch]:
    """One scratch installation for this module."""
    settings = load(environ={}).settings
    own = replace(settings, service=replace(settings.service, cache_dir=live_cache))
    package = cast("AuditPackage", provider_package("keycloak"))
    with scratch(own, package, RECIPE, print) as started:
        yield started


class TestKeycloakSurface(AuditSurfaceConformance):
    """The suite that ships with the package."""

    @pytest.fixture
    def surface(self, server: Scratch) -> AuditSurface:
        return server.surface

    @pytest.fixture
    def lease(self, server: Scratch) -> Callable[[], JsonObject]:
        return server.lease

    @pytest.fixture
    def release(self, server: Scratch) -> Callable[[JsonObject], None]:
        return lambda lease: server.release(lease)
