"""Where data goes: stdout, or a file that only its owner can read, whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from warminfra.core.errors import StorageFull


class Form(StrEnum):
    """Forms of a lease."""

    HUMAN = "human"
    JSON = "json"
    ENV = "env"
    GITHUB = "github"


class Plain(StrEnum):
    """Forms of everything else."""

    HUMAN = "human"
    JSON = "json"


LeaseForm = Annotated[
    Form | None,
    typer.Option(
        "-o",
        "--output",
        help="human (default on a terminal), json (default elsewhere), env (KEY=value, quoted for "
        "a shell) or github (into GITHUB_ENV, masked).",
    ),
]
Output = Annotated[Plain, typer.Option("-o", "--output", help="human or json.")]
To = Annotated[
    Path | None, typer.Option("--to", metavar="FILE", help="Write to FILE (0600), not to stdout.")
]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Print secrets where they would be masked or refused.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def emit(text: str, to: Path | None = None) -> None:
    """Print `text`, or make it the content of `to`."""
    if to is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    else:
        write_private(to, text if text.endswith("\n") else text + "\n")


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document as people and programs read it."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_env(environment: Mapping[str, str]) -> str:
    """Return `KEY=value` lines that a POSIX shell reads back exactly."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())


def write_private(path: Path, text: str) -> None:
    """Make `path` a file of mode 0600 with `text`, in one step. Raises `StorageFull`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Never through a link that somebody laid there: O_EXCL, and 0600 from its first moment.
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageFull(
            f"cannot write {path}: {error.strerror}", hint="free space, or name another file"
        ) from None


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: drawn on a terminal, aligned words elsewhere."""
    if not rows:
        return f"{title}: none\n"
    if sys.stdout.isatty():
        return _drawn(title, head, rows)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "".join("  " + cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join((f"{title}:", *lines)) + "\n"


def _drawn(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    for name in head:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console()
    with console.capture() as capture:
        console.print(drawn)
    return capture.get()
