"""What a command does in its own process instead of the service: run it, or end what it left."""

from __future__ import annotations

import os

from warminfra.cli import session
from warminfra.config.load import Loaded, variable
from warminfra.service import server
from warminfra.service.server import serve


def run_service(loaded: Loaded) -> None:
    """Serve in the foreground until told to stop.

    What was set by flags holds for what the service starts, too: the audits of its schedule.
    """
    for key, value in session.flags().items():
        os.environ[variable(key)] = value
    serve(loaded.settings)


def end_servers(loaded: Loaded, *, look_only: bool) -> list[str]:
    """End, or only look for, the servers that run though no service does; return their names."""
    return server.end_servers(loaded.settings, look_only=look_only)


def is_purged(loaded: Loaded) -> bool:
    """Say whether nothing is left that this installation has made."""
    return server.is_purged(loaded.settings)
