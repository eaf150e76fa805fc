"""What a check is."""

from __future__ import annotations

from typing import Protocol

from isolation_checks.world import World


class Check(Protocol):
    """Tries what its channels forbid, and says what it found through the world."""

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> tuple[str, ...]: ...

    def run(self, world: World) -> None:
        """Run once. What it cannot carry through it raises: that is never a pass."""
        ...
