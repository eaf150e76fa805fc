"""`doctor --print`: a snippet for a host or a CI, made for this installation."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from importlib.resources import files
from pathlib import Path


class Snippet(StrEnum):
    """What there is a snippet for."""

    SYSTEMD = "systemd"
    NIX = "nix"
    DRONE = "drone"
    WOODPECKER = "woodpecker"
    GITHUB = "github"
    GITLAB = "gitlab"


_FILES = {Snippet.SYSTEMD: "systemd.service", Snippet.NIX: "warminfra.nix"}


def snippet(kind: Snippet) -> str:
    """Return the snippet, with this installation's command where an absolute path is needed."""
    name = _FILES.get(kind, f"{kind}.yml")
    text = files("warminfra.cli").joinpath("snippets", name).read_text()
    return text.replace("@program@", _program())


def _program() -> str:
    beside = Path(sys.executable).with_name("warminfra")
    return str(beside) if beside.exists() else shutil.which("warminfra") or "/usr/bin/warminfra"
