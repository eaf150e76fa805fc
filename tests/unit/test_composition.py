"""What the composition makes of the configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from warminfra.config import load
from warminfra.service.composition import leasing_settings


@pytest.mark.parametrize(
    ("flags", "replaced_after"),
    [
        ({}, 1000),
        ({"keycloak.http_port": "18080"}, sys.maxsize),
        ({"keycloak.management_port": "18081"}, sys.maxsize),
        (
            {
                "keycloak.url": "https://sso.example",
                "keycloak.admin_client_id": "admin",
                "keycloak.admin_client_secret_file": "secret",
            },
            sys.maxsize,
        ),
    ],
)
def test_an_instance_is_replaced_only_where_there_may_be_two(
    flags: dict[str, str], replaced_after: int, tmp_path: Path
) -> None:
    """On a fixed port or an external server there is one instance for good."""
    loaded = load(flags=flags, environ={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert leasing_settings(loaded.settings).replace_after == replaced_after


@pytest.mark.parametrize(
    ("url", "dedicated"),
    [("https://sso.ci.example", False), ("https://sso.ci.example:{port}", True)],
)
def test_a_server_of_ones_own_needs_a_front_that_leads_to_it(
    url: str, dedicated: bool, tmp_path: Path
) -> None:
    """A proxy with one URL leads to the warm server; one with the servers' ports to any."""
    flags = {"reach.mode": "front", "reach.public_url": url, "keycloak.http_port": "18080"}
    loaded = load(flags=flags, environ={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert (leasing_settings(loaded.settings).no_dedicated == "") == dedicated
