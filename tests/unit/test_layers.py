"""The arrows of the architecture, checked from the code's own imports."""

from __future__ import annotations

from importlinter import cli


def test_imports_point_the_only_way_they_may() -> None:
    """The contracts in pyproject.toml hold for every module."""
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
