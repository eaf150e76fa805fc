"""Where the prover goes: to its own server, whatever stands before the ones that runs use."""

from __future__ import annotations

from isolation_checks.scratch import _own_reach
from warminfra.config.settings import Reach


def test_a_scratch_server_is_never_behind_the_operators_proxy() -> None:
    """Mode node is inherited, by address; a front would lead to the servers that runs use."""
    node = Reach(mode="node", name="sso.test", address="10.0.0.1")
    assert _own_reach(node) == Reach(mode="node", address="10.0.0.1")
    assert _own_reach(Reach(mode="front", public_url="https://sso.example")) == Reach()
