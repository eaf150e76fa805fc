"""A real Keycloak for the live tests: had, built and pre-initialised once a machine.

The cache lies outside the tree, where the product would have it. `running_instance` is one
re-keyed server for all tests of a session; a test that kills servers starts its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import isolation_checks
from isolation_checks.remains import removed_at_the_end
from isolation_checks.scratch import Scratch, scratch
from testbed.installation import Installation
from warminfra.config import Settings, load
from warminfra.core.audit import AuditPackage
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import ConfigInvalid, Unreachable
from warminfra.core.ids import InstallationId, InstanceId, mint_installation_id
from warminfra.core.models import RunningInstance
from warminfra.instances.local import LocalLauncher
from warminfra.service.composition import provider_package
from warminfra_keycloak.distribution import KeycloakDistribution

SESSION_INSTANCE = InstanceId("kc-session")
MEMORY_LIMIT = 1536 << 20

NewLauncher = Callable[[Path], LocalLauncher]


def _told(line: str) -> None:
    """Show the progress of what takes long; pytest shows it for a test that fails."""
    print(line)


@pytest.fixture(scope="session")
def live_cache() -> Path:
    """The cache with distribution, build and snapshot, made the first time on this machine.

    If they cannot be had, live tests are skipped with the reason; with WARMINFRA_LIVE=required
    they fail.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "warminfra"
    unused = cache / "no-state"
    try:
        _launcher(unused, cache, InstallationId("prepares")).prepare(_told)
    except (ConfigInvalid, Unreachable) as error:
        if os.environ.get("WARMINFRA_LIVE") == "required":
            raise
        pytest.skip(f"no Keycloak: {error}")
    return cache


@pytest.fixture(scope="session")
def live_installation() -> InstallationId:
    """The installation of this session."""
    return mint_installation_id(SystemEntropy())


@pytest.fixture(scope="session")
def new_launcher(live_cache: Path, live_installation: InstallationId) -> Iterator[NewLauncher]:
    """Make launchers on a state directory; whoever starts an instance stops it.

    What is left, because a test or the whole session was killed, is ended and removed.
    """
    with ExitStack() as guards:

        def make(state: Path) -> LocalLauncher:
            guards.enter_context(removed_at_the_end(state))
            return _launcher(state, live_cache, live_installation)

        yield make


@pytest.fixture(scope="session")
def running_instance(
    new_launcher: NewLauncher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningInstance]:
    """One running, re-keyed Keycloak for the session, on free loopback ports."""
    launcher = new_launcher(tmp_path_factory.mktemp("keycloak"))
    try:
        yield launcher.start(SESSION_INSTANCE, _told)
    finally:
        launcher.stop(SESSION_INSTANCE, discard=True)


def _launcher(state: Path, cache: Path, installation: InstallationId) -> LocalLauncher:
    return LocalLauncher(
        KeycloakDistribution({}),
        installation=installation,
        state_dir=state,
        cache_dir=cache,
        memory_limit=MEMORY_LIMIT,
    )


@pytest.fixture(scope="session")
def warm(live_cache: Path) -> Iterator[Installation]:
    """A whole installation with the stand-in's recipe enrolled and tenants ready.

    Tests that share it leave it as they found it: no lease active, the server up.
    """
    with Installation.temporary(config="[pool]\nmin = 2\nmax = 3\n") as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(2)
        yield installation


@pytest.fixture(scope="session")
def audit_settings(live_cache: Path) -> Settings:
    """Default settings with the machine's cache: what an audit in this process takes."""
    settings = load(environ={"HOME": "/nonexistent"}).settings
    return replace(settings, service=replace(settings.service, cache_dir=live_cache))


@pytest.fixture(scope="session")
def scratch_server(audit_settings: Settings) -> Iterator[Scratch]:
    """One scratch installation for the prover's tests; whoever kills its server waits for it."""
    package = cast("AuditPackage", provider_package("keycloak"))
    recipe = Path(isolation_checks.__file__).parent / "recipes" / "user"
    with scratch(audit_settings, package, recipe, _told) as started:
        yield started
