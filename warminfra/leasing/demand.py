"""Who waits for a lease: one ticket for each request, first come, first served.

A ticket lives as long as its client asks; it is a wish in memory, not a promise: after a restart
the client's next question makes it anew.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass, field

from warminfra.core.clock import Clock
from warminfra.leasing.settings import TICKET_PATIENCE


@dataclass(slots=True)
class Ticket:
    """One waiting request, named by the hash of its key. Times of the boot clock."""

    key_hash: str
    recipe: str
    asked: float


@dataclass(slots=True)
class Demand:
    """The queue of tickets."""

    clock: Clock
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, key_hash: str, recipe: str) -> int:
        """Enter the queue or say that one still waits; return the place, 1 is next."""
        now = self.clock.boot()
        with self._lock:
            ticket = self._tickets.setdefault(key_hash, Ticket(key_hash, recipe, now))
            ticket.asked = now
            return list(self._tickets).index(key_hash) + 1

    def next(self, served: Container[str]) -> Ticket | None:
        """Return the first ticket that is not in `served`, the key hashes with a tenant."""
        with self._lock:
            return next((t for t in self._tickets.values() if t.key_hash not in served), None)

    def done(self, key_hash: str) -> bool:
        """The request has its lease; say whether it had waited for one."""
        with self._lock:
            return self._tickets.pop(key_hash, None) is not None

    def waits(self, key_hash: str) -> bool:
        """Say whether the request still waits."""
        with self._lock:
            return key_hash in self._tickets

    def forget_silent(self) -> list[str]:
        """Drop the tickets whose client has stopped asking; return their key hashes."""
        latest = self.clock.boot() - TICKET_PATIENCE
        with self._lock:
            silent = [key for key, ticket in self._tickets.items() if ticket.asked < latest]
            for key in silent:
                del self._tickets[key]
        return silent

    def waiting(self) -> int:
        """Return how many requests wait."""
        with self._lock:
            return len(self._tickets)
