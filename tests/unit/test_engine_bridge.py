"""The address of the engine's bridge, as the engine tells it or as the machine has it."""

from __future__ import annotations

from typing import Any

import pytest

import warminfra.engine.bridge
from warminfra.core.errors import Unreachable
from warminfra.engine.bridge import bridge_address

HOST = "unix:///nowhere.sock"
NAMED = "com.docker.network.bridge.name"


def told(monkeypatch: pytest.MonkeyPatch, config: list[dict[str, str]], interface: str) -> None:
    """Let the engine tell this of its bridge."""

    class Engine:
        def inspect_network(self, name: str) -> dict[str, Any]:
            assert name == "bridge"
            return {"IPAM": {"Config": config}, "Options": {NAMED: interface}}

        def close(self) -> None:
            pass

    monkeypatch.setattr(warminfra.engine.bridge, "connect", lambda *_, **__: Engine())


def test_the_gateway_is_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The IPv4 one; one of IPv6 does not do."""
    rows = [{"Gateway": "fd00::1"}, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]
    told(monkeypatch, rows, "lo")
    assert bridge_address(HOST) == "172.17.0.1"


def test_an_engine_that_has_just_made_its_bridge_tells_no_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before its next start it tells the interface alone, whose address the machine knows."""
    told(monkeypatch, [{"Subnet": "127.0.0.0/8"}], "lo")
    assert bridge_address(HOST) == "127.0.0.1"


def test_no_bridge_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting to use instead."""
    told(monkeypatch, [{"Subnet": "10.0.0.0/8"}], "no-such-interface")
    with pytest.raises(Unreachable, match="no IPv4 gateway") as caught:
        bridge_address(HOST)
    assert "reach.address" in caught.value.hint
