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
