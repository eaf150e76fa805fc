"""What Keycloak is known to let cross: each finding on it is explained, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from warminfra_keycloak import package

STOCK = package.stock_crossings()
DOCS = (Path(__file__).parents[2] / "docs" / "isolation.md").read_text()
FOLLOWED = "request uri at GET authorization, request uri of B"


def _explain(name: str) -> list[str]:
    return [one.title for one in STOCK if name in one.names]


@pytest.mark.parametrize(
    "name",
    [
        f"X2:{FOLLOWED}",
        f"X2:{FOLLOWED}, whose client has the same id",
        f"X7:{FOLLOWED}",
        "X3:jti of a client assertion that a neighbour has used",
        "X3:internal id of a client that a neighbour has used",
        "X3:internal id of a client scope that a neighbour has used",
        "X12:internal id of a client",
        "X13:call by sector identifier",
    ],
)
def test_what_the_server_is_known_for_is_explained_once(name: str) -> None:
    """The live tests find these, and no more (`test_audit_channels.py`)."""
    assert len(_explain(name)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "X2:code at POST token, code of B",
        "X2:request uri at GET authorization, request uri of master",
        "X7:request uri at GET authorization, request uri of its own dead lease",
        "X13:call by registration by anybody",
        "X13:call by logout of the lease's own app",
        "X3:jti of a DPoP proof that a neighbour has used",
        "X3:internal id of a user that a neighbour has used",
        "X7:access token at GET userinfo of its own dead lease",
        "X13:the host's name in GET admin/serverinfo",
    ],
)
def test_nothing_else_is_taken_for_known(name: str) -> None:
    """A leak that nobody has seen before must not read as an old acquaintance."""
    assert _explain(name) == []


def test_the_documentation_names_every_upstream_issue() -> None:
    """Report and documentation tell the same."""
    for one in STOCK:
        for word in one.upstream.replace(",", " ").split():
            if word.startswith("keycloak#"):
                assert word in DOCS
