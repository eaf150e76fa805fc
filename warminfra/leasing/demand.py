"""Who waits for a lease: one ticket for each request, first come, first served.

A ticket lives as long as its client asks; it is a wish in memory, not a promise: after a restart
the client's next question makes it anew.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from warminfra.core.clock import Clock
from warminfra.leasing.settings import TICKET_PATIENCE


@dataclass(slots=True)
class Ticket:
    """One waiting request, named by the hash of its key. Times of the boot clock."""

    key_hash: str
    recipe: str
    asked: float
    in_hand: bool = False
    """A tenant is being made for it, or was."""


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

    def next(self) -> Ticket | None:
        """Return the first ticket for which nothing is being made, and mark it as in hand."""
        with self._lock:
            for ticket in self._tickets.values():
                if not ticket.in_hand:
                    ticket.in_hand = True
                    return ticket
        return None

    def put_back(self, ticket: Ticket) -> None:
        """Making a tenant for the ticket failed: it waits again, at its place."""
        with self._lock:
            ticket.in_hand = False

    def done(self, key_hash: str) -> None:
        """The request has its lease."""
        with self._lock:
            self._tickets.pop(key_hash, None)

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
