"""A home for the command, and a service that answers what a test tells it to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.command import Home, new_home
from tests.fake_service import FakeService, serving


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made


@pytest.fixture
def service(home: Home) -> Iterator[FakeService]:
    with serving(home.runtime_dir) as fake:
        yield fake
