"""A clock that moves when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Boot and wall time that tests advance; `reboot` starts the boot clock anew."""

    def __init__(self) -> None:
        self._boot = 1000.0
        self._wall = datetime(2026, 1, 1, tzinfo=UTC)
        self._boots = 1

    def boot(self) -> float:
        return self._boot

    def wall(self) -> datetime:
        return self._wall

    def boot_id(self) -> str:
        return f"boot-{self._boots}"

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._boot += seconds
        self._wall += timedelta(seconds=seconds)

    def reboot(self, seconds: float) -> None:
        """Restart the machine; it is away for `seconds`."""
        self._boot = 10.0
        self._wall += timedelta(seconds=seconds)
        self._boots += 1
