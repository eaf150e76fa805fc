"""Where files go and where settings are looked for: XDG by hand, because start-up time counts.

An XDG variable that is set (and absolute, as its standard demands) always wins, for root too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM_FILE = Path("/etc/warminfra/config.toml")
LOCAL_NAME = "warminfra.toml"
_APP = "warminfra"


def home(environ: Mapping[str, str]) -> Path:
    """Return the user's home directory."""
    return Path(environ.get("HOME") or os.path.expanduser("~"))


def user_file(environ: Mapping[str, str]) -> Path:
    """Return the user's configuration file, which need not exist."""
    base = _xdg(environ, "XDG_CONFIG_HOME") or home(environ) / ".config"
    return base / _APP / "config.toml"


def default_dirs(environ: Mapping[str, str], *, root: bool) -> dict[str, tuple[Path, str]]:
    """Return state, cache and runtime directory by setting name, each with its origin."""
    places = {
        "state_dir": ("XDG_STATE_HOME", Path("/var/lib"), home(environ) / ".local/state"),
        "cache_dir": ("XDG_CACHE_HOME", Path("/var/cache"), home(environ) / ".cache"),
        "runtime_dir": ("XDG_RUNTIME_DIR", Path("/run"), None),
    }
    found: dict[str, tuple[Path, str]] = {}
    for key, (variable, as_root, as_user) in places.items():
        base = _xdg(environ, variable)
        if base is not None:
            found[key] = (base / _APP, f"env {variable}")
        elif root:
            found[key] = (as_root / _APP, "default")
        elif as_user is not None:
            found[key] = (as_user / _APP, "default")
        else:
            found[key] = (_runtime(found["state_dir"][0]), "default")
    return found


def _runtime(state: Path) -> Path:
    """Without a login session's directory, sockets live with the state, never in a shared /tmp."""
    session = Path(f"/run/user/{os.getuid()}")
    return session / _APP if os.access(session, os.W_OK) else state / "run"


def _xdg(environ: Mapping[str, str], variable: str) -> Path | None:
    value = environ.get(variable, "")
    return Path(value) if value.startswith("/") else None
