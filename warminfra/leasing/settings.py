"""The numbers that the lease machine works with. Durations in seconds."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

CREATE_TIMEOUT = 30.0
"""Longest wait for the provider's answer to a create."""

TICKET_PATIENCE = 10.0
"""A waiting request that has not asked again for so long has lost its place."""

LONGEST_RUSH = 0.5
"""Refill waits for no longer, however many leases are taken one after the other."""

QUARANTINE_AFTER = 6
"""Failed teardowns after which a tenant is in quarantine."""


@dataclass(frozen=True, slots=True)
class LeasingSettings:
    """Configured limits; see `docs/contracts.md` for their keys."""

    ttl: float = 1800.0
    max_ttl: float = 6 * 3600.0
    grace: float = 30.0
    soft_cap: int = 100
    """Live tenants of one instance above which the pool is not refilled."""
    hard_cap: int = 200
    """Live tenants of one instance above which nothing is made."""
    replace_after: int = 1000
    """Tenants made on one instance after which it is replaced."""
    warm: int = 1
    """Warm instances."""
    memory: int = sys.maxsize
    """Bytes that all instances may have."""
    warm_memory: int = 0
    """Bytes that a warm instance counts with."""
    dedicated_memory: int = 0
    """Bytes that a dedicated instance counts with."""
    no_dedicated: str = ""
    """Why no servers of one's own can be had here at all; empty if they can."""
    spares: int = 0
    """Dedicated instances kept ready, with a tenant, for the next who needs one."""
    park_after: float = math.inf
    """Time for which nobody can have used a warm instance when it is parked."""
    refill_pause: float = 0.0
    """Time without a lease taken before the pool is refilled behind it: those who lease at once
    need the server, and the processors, themselves."""
    sweep_every: float = 60.0
    health_every: float = 5.0
    hung_after: float = 30.0
    """Seconds without an answer after which a living server is started anew."""
    retry_base: float = 1.0
    retry_limit: float = 300.0
    hold_max: int = 3
    """Leases that may be held at the same time."""
    hold_memory: int = 2 << 30
    """Bytes of memory that all held leases may take together."""
    hold_longest: float = 24 * 3600.0
    disk_reserve: int = 0
    """Bytes free on the state directory's disk below which there are no new leases."""
