"""Who waits for a lease: one ticket for each request, first come, first served; and who just came.

A ticket lives as long as its client asks. The answer to the first in the queue may be held until
its tenant is there; the others are told when to ask again. A ticket is written down when it is
entered, so that the place is kept over a restart of the service: then each has its time anew.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field
from statistics import median

from warminfra.core.clock import Clock
from warminfra.core.states import InstanceKind
from warminfra.leasing.backoff import backoff
from warminfra.leasing.settings import LONGEST_RUSH, TICKET_PATIENCE
from warminfra.ledger.tickets import TicketRow, Tickets

SOON, LATEST = 0.005, 0.5
"""Shortest and longest time, in seconds, after which a client is told to ask again."""

LONGEST_PAUSE = 30.0
"""Seconds, at most, between two tries to make a tenant that the server will not have."""

OVERDUE_SHARE = 0.1
"""Once a tenant is overdue: a lease is had a tenth later than it could have been, at most."""


@dataclass(slots=True)
class Ticket:
    """One waiting request, named by the hash of its key. Times of the boot clock."""

    key_hash: str
    recipe: str
    kind: InstanceKind
    """Of the instance that will serve it, as was decided when it asked last."""
    begun: float
    asked: float
    claimed: bool = False
    """Whether a worker makes its tenant now."""
    trouble: str = ""
    """Why its tenant could not be made when that was tried last."""
    failures: int = 0
    """How often in a row that was so."""
    not_before: float = 0.0
    """When it is tried again. Meanwhile the others are served."""
    news: threading.Event = field(default_factory=threading.Event)
    """Set when its tenant has been made, or could not be."""
    listening: bool = False
    """Whether a question for it is held open."""


def _spent() -> dict[InstanceKind, deque[float]]:
    return {kind: deque(maxlen=9) for kind in InstanceKind}


@dataclass(slots=True)
class Demand:
    """The queue of tickets."""

    clock: Clock
    rows: Tickets
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _spent: dict[InstanceKind, deque[float]] = field(default_factory=_spent)
    _first_taken: float = -math.inf
    _last_taken: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resume(self) -> None:
        """Take up what an earlier service wrote down."""
        now = self.clock.boot()
        with self._lock:
            for row in self.rows:
                kind = InstanceKind(row.mode)
                self._tickets[row.key_hash] = Ticket(row.key_hash, row.recipe, kind, now, now)

    def ask(self, key_hash: str, recipe: str, kind: InstanceKind) -> tuple[int, float]:
        """Enter the queue or say that one still waits; return the place among those who wait for
        the same kind, 1 is next, and the seconds after which to ask again: when the tenant should
        be there, as the last ones went."""
        now = self.clock.boot()
        with self._lock:
            ticket = self._tickets.get(key_hash)
            if ticket is None:
                self.rows.enter(TicketRow(key_hash, recipe, kind), self.clock.wall())
                ticket = Ticket(key_hash, recipe, kind, now, now)
                self._tickets[key_hash] = ticket
            ticket.asked, ticket.kind = now, kind
            place = self._of(kind).index(ticket) + 1
            waited, spent = now - ticket.begun, self._spent[kind]
            expected = place * median(spent) - waited if spent else SOON
            again = expected if expected > 0 else waited * OVERDUE_SHARE
            return place, min(max(again, SOON), LATEST)

    def recipe_of(self, key_hash: str) -> str:
        """Return what the request waits for, "" if it does not wait."""
        with self._lock:
            ticket = self._tickets.get(key_hash)
            return ticket.recipe if ticket else ""

    def listen(self, key_hash: str, seconds: float) -> float | None:
        """Wait for the tenant of a request whose turn it is; return the seconds after which to ask
        again: 0 if something has come of it, `SOON` if not yet.

        It takes `seconds` or `LATEST` at most, and no time (None) for one that others come before,
        that somebody listens for already, or that was withdrawn: few threads are ever held.
        """
        with self._lock:
            ticket = self._tickets.get(key_hash)
            if ticket is None or ticket.listening:
                return None
            if not ticket.claimed and self._of(ticket.kind)[0] is not ticket:
                return None
            ticket.listening = True
        heard = ticket.news.wait(min(seconds, LATEST))
        with self._lock:
            ticket.listening = False
            if self._tickets.get(key_hash) is not ticket:
                return None
        return 0.0 if heard else SOON

    def ahead(self, key_hash: str, recipe: str) -> list[str]:
        """Return the key hashes of those who wait for the recipe and came before."""
        with self._lock:
            found = []
            for ticket in self._tickets.values():
                if ticket.key_hash == key_hash:
                    break
                if ticket.recipe == recipe:
                    found.append(ticket.key_hash)
            return found

    def made(self, kind: InstanceKind, seconds: float) -> None:
        """Note how long a tenant took that a request waited for."""
        with self._lock:
            self._spent[kind].append(seconds)

    def claim(self, kind: InstanceKind, served: Container[str]) -> Ticket | None:
        """Return the first ticket that is due and not in `served`, the key hashes with a tenant.

        It is the caller's alone to serve until it calls `unclaim`.
        """
        with self._lock:
            for ticket in self._of(kind):
                due = ticket.not_before <= self.clock.boot()
                if due and ticket.key_hash not in served and not ticket.claimed:
                    ticket.claimed = True
                    ticket.news.clear()
                    return ticket
        return None

    def unclaim(self, ticket: Ticket, trouble: str = "") -> None:
        """Let anybody serve it again: it was served, or could not be for a reason; then later."""
        with self._lock:
            ticket.claimed, ticket.trouble = False, trouble
            ticket.failures = ticket.failures + 1 if trouble else 0
            if trouble:
                pause = backoff(ticket.failures - 1, LONGEST_PAUSE)
                ticket.not_before = self.clock.boot() + pause
            ticket.news.set()

    def trouble(self, key_hash: str) -> str:
        """Return why the request's tenant could not be made when that was tried last, or ""."""
        with self._lock:
            ticket = self._tickets.get(key_hash)
            return ticket.trouble if ticket else ""

    def unserved(self, kind: InstanceKind, served: Container[str]) -> list[Ticket]:
        """Return the tickets that are not in `served`, first come first."""
        with self._lock:
            return [ticket for ticket in self._of(kind) if ticket.key_hash not in served]

    def done(self, key_hash: str) -> bool:
        """The request has its lease; say whether it had waited for one."""
        with self._lock:
            ticket = self._tickets.pop(key_hash, None)
            if ticket is None:
                return False
            self.rows.leave([key_hash])
            ticket.news.set()
            return True

    def alive(self) -> set[str]:
        """Drop the tickets whose client has stopped asking; return the key hashes of the others."""
        latest = self.clock.boot() - TICKET_PATIENCE
        with self._lock:
            silent = [key for key, ticket in self._tickets.items() if ticket.asked < latest]
            if silent:
                self.rows.leave(silent)
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

    def waiting(self, kind: InstanceKind | None = None) -> int:
        """Return how many requests wait, for one kind if given."""
        with self._lock:
            return len(self._tickets if kind is None else self._of(kind))

    def _of(self, kind: InstanceKind) -> list[Ticket]:
        return [ticket for ticket in self._tickets.values() if ticket.kind is kind]
