"""`docs/contracts.md` names what there is: commands, settings, error codes."""

from __future__ import annotations

import re
from pathlib import Path

from warminfra.cli.commands import COMMANDS
from warminfra.config.settings import kinds
from warminfra.core.errors import error_classes

CONTRACTS = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()


def test_every_command_is_promised() -> None:
    """Each command stands in the table of commands."""
    table = CONTRACTS.split("### Exit codes")[0]
    for command in COMMANDS:
        assert command.name.split()[-1] in table, command.name


def test_every_setting_is_explained_and_no_other() -> None:
    """The table of settings has exactly the keys that configuration takes."""
    section = CONTRACTS.split("## Configuration")[1].split("## Lease document")[0]
    told = re.findall(r"^\| `([a-z_]+\.[a-z0-9_]+)` \|", section, re.MULTILINE)
    assert told == [f"{table}.{key}" for table, key, _ in kinds()]


def test_every_error_code_is_told_with_its_numbers() -> None:
    """Each error's code stands in a row with its HTTP status and its exit code."""
    rows = [line for line in CONTRACTS.splitlines() if line.startswith("| `")]
    for cls in error_classes():
        numbers = f"| {cls.http_status} | {cls.exit_code} |"
        assert [row for row in rows if f"`{cls.code}`" in row and numbers in row], cls
