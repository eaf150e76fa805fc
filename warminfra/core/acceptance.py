"""What a reviewer lets stand. Apart from the other models: reading the configuration needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that the reviewer lets stand, by name, for a time: a part of the audit policy."""

    channel: str
    witness: str
    why: str
    until: date
    """The last day on which it counts."""

    @property
    def name(self) -> str:
        """Return the finding's name."""
        return f"{self.channel}:{self.witness}"

    def stands(self, now: datetime) -> bool:
        """Say whether it still counts."""
        return now.date() <= self.until

    def __str__(self) -> str:
        return f"{self.name} (until {self.until}: {self.why})"
