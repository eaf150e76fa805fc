"""Start-up is a feature: what a command loads."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.command import Home
from tests.fake_service import FakeService

HEAVY = {
    "alembic", "docker", "fastapi", "httpx", "hypothesis", "keycloak", "pydantic", "rich",
    "sqlalchemy", "starlette", "structlog", "uvicorn",
}  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("lease", "--recipe", "docs", "--domain", "d.example", "--to", "lease.json"),
        ("lease", "--help"),
        ("exec", "--recipe", "docs", "--", "true"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(
    home: Home, service: FakeService, arguments: tuple[str, ...]
) -> None:
    """Help, `lease` and `exec` load no library that only the service or a table needs."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "warminfra.cli", *arguments],
        cwd=home.path,
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    loaded = {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", ran.stderr, re.M)}
    assert "typer" in loaded
    assert not loaded & HEAVY
