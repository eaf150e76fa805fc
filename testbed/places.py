"""Where the test engine and registry live: below the user's cache, apart from all else.

`WARMINFRA_TESTBED` names another folder (a short path: sockets lie in it).
"""

from __future__ import annotations

import os
from pathlib import Path

REGISTRY_ADDRESS = "127.0.0.1:5078"
"""The registry itself."""

GATE_ADDRESS = "127.0.0.1:5077"
"""The gate before it: what image references of the recipes name."""


def testbed_home() -> Path:
    """Return the folder of engine and registry."""
    given = os.environ.get("WARMINFRA_TESTBED")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "warminfra" / "testbed"
