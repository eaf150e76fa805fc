"""`warminfra serve`: the one command that runs the service in its own process."""

from __future__ import annotations

from warminfra.config.load import Loaded
from warminfra.service.server import serve


def run_service(loaded: Loaded) -> None:
    """Serve in the foreground until told to stop."""
    serve(loaded.settings)
