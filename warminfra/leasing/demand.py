"""Who waits for a lease: one ticket for each request, first come, first served; and who just came.

A ticket lives as long as its client asks; it is a wish in memory, not a promise: after a restart
the client's next question makes it anew.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field
from statistics import median

from warminfra.core.clock import Clock
from warminfra.leasing.settings import LONGEST_RUSH, TICKET_PATIENCE

SOON, LATEST = 0.005, 0.5
"""Shortest and longest time, in seconds, after which a client is told to ask again."""

OVERDUE_SHARE = 0.1
"""Once a tenant is overdue: a lease is had a tenth later than it could have been, at most."""


@dataclass(slots=True)
class Ticket:
    """One waiting request, named by the hash of its key. Times of the boot clock."""

    key_hash: str
    recipe: str
    begun: float
    asked: float


@dataclass(slots=True)
class Demand:
    """The queue of tickets."""

    clock: Clock
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _spent: deque[float] = field(default_factory=lambda: deque(maxlen=9))
    _first_taken: float = -math.inf
    _last_taken: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, key_hash: str, recipe: str) -> tuple[int, float]:
        """Enter the queue or say that one still waits; return the place, 1 is next, and the seconds
        after which to ask again: when the tenant should be there, as the last ones went."""
        now = self.clock.boot()
        with self._lock:
            ticket = self._tickets.setdefault(key_hash, Ticket(key_hash, recipe, now, now))
            ticket.asked = now
            place = list(self._tickets).index(key_hash) + 1
            waited = now - ticket.begun
            expected = place * median(self._spent) - waited if self._spent else SOON
            again = expected if expected > 0 else waited * OVERDUE_SHARE
            return place, min(max(again, SOON), LATEST)

    def made(self, seconds: float) -> None:
        """Note how long a tenant took that a request waited for."""
        with self._lock:
            self._spent.append(seconds)

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

    def alive(self) -> set[str]:
        """Drop the tickets whose client has stopped asking; return the key hashes of the others."""
        latest = self.clock.boot() - TICKET_PATIENCE
        with self._lock:
            silent = [key for key, ticket in self._tickets.items() if ticket.asked < latest]
            for key in silent:
                del self._tickets[key]
            return set(self._tickets)

    def took(self, pause: float) -> bool:
        """Note that a lease was taken now; say whether it is the first within `pause`."""
        now = self.clock.boot()
        with self._lock:
            first = now - self._last_taken >= pause
            if first:
                self._first_taken = now
            self._last_taken = now
            return first

    def rush(self, pause: float) -> bool:
        """Say whether leases are being taken: one within `pause`, and not for too long already."""
        now = self.clock.boot()
        with self._lock:
            return now - self._last_taken < pause and now - self._first_taken < LONGEST_RUSH

    def waiting(self) -> int:
        """Return how many requests wait."""
        with self._lock:
            return len(self._tickets)
