"""Time, as the lease machine sees it.

Deadlines count on the boot clock, which neither jumps nor stops while the machine sleeps; wall time
serves people, and the one case where the boot clock started anew (`boot_id` changed).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """The only way time enters."""

    def boot(self) -> float:
        """Return seconds since the machine booted, suspend included."""
        ...

    def wall(self) -> datetime:
        """Return the time of day, aware, UTC."""
        ...

    def boot_id(self) -> str:
        """Return an id that changes with each boot of the machine."""
        ...


class SystemClock:
    """The machine's clocks (Linux `CLOCK_BOOTTIME`)."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def boot_id(self) -> str:
        return self._boot_id
