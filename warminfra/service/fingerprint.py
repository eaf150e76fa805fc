"""What a verdict depends on, as one digest: the server's build, our code, the reviewer's policy."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from warminfra.config.settings import Sharing
from warminfra.core.errors import WarminfraError
from warminfra.core.ports import Launcher

_OUR_PACKAGES = ("warminfra", "warminfra_keycloak")


class Fingerprint:
    """Of the running process: computed once, for what it covers changes only with a restart.

    `check` computes it anew from what is installed now. Once that differs the process no longer is
    what its files say, and no verdict is of it.
    """

    def __init__(self, launcher: Launcher, sharing: Sharing, reach_mode: str = "host") -> None:
        self._launcher = launcher
        self._reach_mode = reach_mode
        self._sharing = sharing
        self._parts: Mapping[str, str] | None = None
        self.changed: tuple[str, ...] = ()
        """Parts that are installed otherwise than they run."""
        self._lock = threading.Lock()

    def parts(self) -> Mapping[str, str]:
        """Return the parts by name, for a reviewer."""
        with self._lock:
            if self._parts is None:
                self._parts = self._installed()
            return self._parts

    def check(self) -> tuple[str, ...]:
        """Compute it anew; return the names of the parts that have changed since the start."""
        began = self.parts()
        now = self._installed()
        self.changed = tuple(sorted({name for name, _ in began.items() ^ now.items()}))
        return self.changed

    def _installed(self) -> dict[str, str]:
        return {
            **{f"server.{key}": part for key, part in self._launcher.fingerprint().items()},
            "reach": self._reach_mode,
            "code": _code_digest(),
            "policy": _digest(json.dumps(asdict(self._sharing), sort_keys=True, default=str)),
        }

    def digest(self) -> str:
        """Return the digest of all parts: 64 hex digits.

        "" while a part cannot be told (no Java, no distribution yet), or once `check` has seen a
        change: no verdict is of that.
        """
        if self.changed:
            return ""
        try:
            return _digest(json.dumps(dict(self.parts()), sort_keys=True))
        except WarminfraError:
            return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code_digest() -> str:
    """Return the digest of every installed Python file of ours, path and content."""
    digest = hashlib.sha256()
    for package in _OUR_PACKAGES:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            for file in sorted(Path(root).rglob("*.py")):
                digest.update(f"{package}/{file.relative_to(root)}".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
