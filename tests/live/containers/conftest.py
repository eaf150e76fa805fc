"""A real engine and a real registry for the tests in this folder, held for the session.

Both are started if they do not run, and then ended. The gate stands between them: it counts what
the engine asks, and makes trouble when told. A test leaves the engine without stacks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testbed.engine import Engine, held
from testbed.gate import Gate
from testbed.image_builds import build
from testbed.installation import Installation
from testbed.registry import Registry


@pytest.fixture(scope="session")
def _held() -> Iterator[tuple[Engine, Registry]]:
    if os.geteuid() != 0:
        if os.environ.get("WARMINFRA_LIVE") == "required":
            raise PermissionError("an engine of the tests' own needs root")
        pytest.skip("an engine of the tests' own needs root")
    with held() as both:
        yield both


@pytest.fixture(scope="session")
def engine(_held: tuple[Engine, Registry]) -> Engine:
    """The engine, a Swarm of one node."""
    return _held[0]


@pytest.fixture(scope="session")
def registry(_held: tuple[Engine, Registry]) -> Registry:
    """The registry itself, to push to and to read its access log."""
    return _held[1]


@pytest.fixture(scope="session")
def _gate(registry: Registry) -> Iterator[Gate]:
    with Gate.opened(registry.address) as gate:
        yield gate


@pytest.fixture
def gate(_gate: Gate) -> Gate:
    """The gate before the registry, without trouble and with an empty log."""
    _gate.clear()
    return _gate


@pytest.fixture(scope="session")
def web_images(engine: Engine, registry: Registry) -> tuple[str, str]:
    """References of the two versions of a small image, in the registry."""
    first, second = build(engine, registry, ["web"])
    return first.reference, second.reference


@pytest.fixture(scope="session")
def installation(engine: Engine) -> Iterator[Installation]:
    """A service with a warm Keycloak that uses the engine, and looks after its images often."""
    config = (
        f'[engine]\nhost = "{engine.host}"\n[pool]\nmin = 2\nmax = 3\n[images]\nlook_every = "1s"\n'
    )
    with Installation.temporary(config=config) as made:
        made.up()
        yield made
