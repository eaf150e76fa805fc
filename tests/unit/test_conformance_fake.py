"""The provider in memory keeps the same promises as the real one."""

from __future__ import annotations

import pytest

from warminfra.core.ports import Provider
from warminfra.testing.clock import ManualClock
from warminfra.testing.conformance import INSTALLATION, OTHER, ProviderConformance
from warminfra.testing.fake_provider import FakeProvider, FakeServer


class TestFakeProvider(ProviderConformance):
    @pytest.fixture
    def server(self) -> FakeServer:
        server = FakeServer(ManualClock())
        server.start()
        return server

    @pytest.fixture
    def provider(self, server: FakeServer) -> Provider:
        return FakeProvider(server, INSTALLATION)

    @pytest.fixture
    def other_provider(self, server: FakeServer) -> Provider:
        return FakeProvider(server, OTHER)
