"""The pytest plugin: fixtures for a lease of this session (or xdist worker), and for a user of it.

Loaded by every pytest on the machine, so it does nothing and imports nothing until a test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from warminfra.pytest_leases import Lease, User

MARK = "warminfra_recipe"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(MARK, "recipe of the leases of tests that no marker gives one")
    parser.addini("warminfra_domain", "domain for the redirect URIs of leases")
    parser.addini("warminfra_wait", "how long to wait for a lease", default="2m")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARK}(name, domain=''): the warminfra recipe whose tenant the test uses"
    )


@pytest.fixture(scope="session")
def warminfra_leases(request: pytest.FixtureRequest) -> Iterator[Callable[..., Lease]]:
    """Return a function of recipe and domain that gives this session's lease of it.

    One lease for each recipe and domain, renewed while the session lives, released at its end.
    """
    from warminfra.pytest_leases import Leases

    leases = Leases.of_session(request.config)
    yield leases.get
    leases.release()


@pytest.fixture
def warminfra_lease(
    request: pytest.FixtureRequest, warminfra_leases: Callable[..., Lease]
) -> Lease:
    """Return the session's lease of the recipe that the test, its class or its module is marked
    with; else of the one in the configuration."""
    mark = request.node.get_closest_marker(MARK)
    return warminfra_leases(*mark.args, **mark.kwargs) if mark else warminfra_leases()


@pytest.fixture
def warminfra_user(warminfra_lease: Lease) -> User:
    """Return the first user of the test's lease."""
    return warminfra_lease.users[0]
