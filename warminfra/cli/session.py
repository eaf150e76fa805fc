"""What every command begins with: the settings in force and a client of the service."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from warminfra.core.errors import Usage

if TYPE_CHECKING:
    from warminfra.client import Client
    from warminfra.config import Loaded

_flags: dict[str, str] = {}

_CI = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "DRONE", "WOODPECKER", "BUILDKITE", "CIRCLECI",
    "TEAMCITY_VERSION", "JENKINS_URL", "TF_BUILD", "FORGEJO_ACTIONS", "GITEA_ACTIONS",
)  # fmt: skip
"""Variables by which a CI system tells that it is one."""


def set_flags(pairs: Iterable[str]) -> None:
    """Take `--set key=value` options, before anything asks for the settings."""
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Usage(f"--set {pair!r} is not KEY=VALUE", hint="--set pool.min=3")
        _flags[key] = value


def flags() -> Mapping[str, str]:
    """Return the settings that were given as options of this call."""
    return dict(_flags)


@cache
def loaded() -> Loaded:
    """Return the settings with their origins. Raises `ConfigInvalid`."""
    from warminfra.config import load

    return load(_flags)


def client(*, admin: bool = False, timeout: float = 30.0) -> Client:
    """Return a client of this installation's service. Seconds."""
    from warminfra.client import Client

    return Client(loaded().settings.service.runtime_dir, admin=admin, timeout=timeout)


def in_ci() -> bool:
    """Say whether a CI system runs us, so that what we print ends in a log."""
    return any(os.environ.get(name, "").lower() not in ("", "0", "false") for name in _CI)


def on_terminal() -> bool:
    """Say whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def seconds(option: str, text: str) -> float:
    """Return the seconds that the duration `text` of `option` means."""
    from warminfra.config import parse_duration

    try:
        found: timedelta = parse_duration(text)
    except ValueError:
        raise Usage(f"{option} {text!r} is no duration", hint="write 90s, 30m, 2h or 7d") from None
    return found.total_seconds()


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is destroyed; refuse where nobody can answer."""
    if yes:
        return
    if not on_terminal():
        raise Usage(
            f"{what}: not without a yes, and there is no terminal to ask on",
            hint="add --yes, or look first with --dry-run",
        )
    import typer

    typer.confirm(f"{what}?", abort=True, err=True)


def say(text: str) -> None:
    """Tell a person something that is no data."""
    print(text, file=sys.stderr, flush=True)
