"""The four state machines and the only moves they allow; and the kinds of instance.

Nothing else decides whether a move is legal: the ledger asks `sources` and guards its UPDATE with
the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class TenantState(StrEnum):
    """Life of a tenant."""

    CREATING = "creating"
    """The intent is written down; the provider may or may not have heard of it."""
    READY = "ready"
    """Complete and belongs to nobody."""
    LEASED = "leased"
    """Belongs to exactly one active lease."""
    RETIRING = "retiring"
    """To be destroyed; credentials first, then the object, then the look."""
    GONE = "gone"
    """Looked for and not found, by its internal id and all its traces."""


class LeaseState(StrEnum):
    """Life of a lease. It exists only with a tenant in hand."""

    ACTIVE = "active"
    """Its holder may use the tenant until the deadline."""
    RELEASED = "released"
    """Given back by its holder."""
    EXPIRED = "expired"
    """Its deadline passed, or the process it was bound to died."""
    REVOKED = "revoked"
    """Taken away: its tenant was lost, or an admin or the gate ended it."""


class InstanceKind(StrEnum):
    """Whom a server is for."""

    WARM = "warm"
    """Long-lived, shared."""
    DEDICATED = "dedicated"
    """For one lease, gone with it."""


class InstanceState(StrEnum):
    """Life of one running server."""

    STARTING = "starting"
    """Being installed, started, re-keyed or reconciled; not used yet."""
    READY = "ready"
    """Answers, and agrees with the ledger."""
    UNHEALTHY = "unhealthy"
    """Does not answer, or was not reconciled since it died."""
    PARKED = "parked"
    """Stopped with its data, because nobody can use it now; back in seconds."""
    DRAINING = "draining"
    """Takes no new tenants; its leases run to their end."""
    STOPPING = "stopping"
    """Told to stop."""
    STOPPED = "stopped"
    """No process; its data may be there still."""


class StackState(StrEnum):
    """Life of a stack that a lease owns. It is made, and may be made again, by others."""

    OWNED = "owned"
    """Its lease is active: whatever carries its name is taken down with the lease."""
    REMOVING = "removing"
    """To be taken down, in order; its tenant waits."""
    GONE = "gone"
    """Looked for and not found."""


S = TypeVar("S", bound=StrEnum)

TENANT_MOVES: Mapping[TenantState, frozenset[TenantState]] = {
    TenantState.CREATING: frozenset({TenantState.READY, TenantState.RETIRING}),
    TenantState.READY: frozenset({TenantState.LEASED, TenantState.RETIRING}),
    TenantState.LEASED: frozenset({TenantState.RETIRING}),
    TenantState.RETIRING: frozenset({TenantState.GONE}),
    TenantState.GONE: frozenset(),
}

LEASE_MOVES: Mapping[LeaseState, frozenset[LeaseState]] = {
    LeaseState.ACTIVE: frozenset({LeaseState.RELEASED, LeaseState.EXPIRED, LeaseState.REVOKED}),
    LeaseState.RELEASED: frozenset(),
    LeaseState.EXPIRED: frozenset(),
    LeaseState.REVOKED: frozenset(),
}

INSTANCE_MOVES: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.STARTING: frozenset({InstanceState.READY, InstanceState.STOPPED}),
    InstanceState.READY: frozenset(
        {
            InstanceState.UNHEALTHY,
            InstanceState.PARKED,
            InstanceState.DRAINING,
            InstanceState.STOPPED,
        }
    ),
    InstanceState.UNHEALTHY: frozenset(
        {
            InstanceState.READY,
            InstanceState.PARKED,
            InstanceState.DRAINING,
            InstanceState.STOPPED,
        }
    ),
    InstanceState.PARKED: frozenset(
        {InstanceState.UNHEALTHY, InstanceState.DRAINING, InstanceState.STOPPED}
    ),
    InstanceState.DRAINING: frozenset({InstanceState.STOPPING, InstanceState.STOPPED}),
    InstanceState.STOPPING: frozenset({InstanceState.STOPPED}),
    InstanceState.STOPPED: frozenset({InstanceState.STARTING}),
}

STACK_MOVES: Mapping[StackState, frozenset[StackState]] = {
    StackState.OWNED: frozenset({StackState.REMOVING}),
    StackState.REMOVING: frozenset({StackState.GONE}),
    StackState.GONE: frozenset(),
}

LIVE_TENANT = frozenset(TenantState) - {TenantState.GONE}
"""States in which something of the tenant may exist at the provider."""


def sources(moves: Mapping[S, frozenset[S]], target: S) -> frozenset[S]:
    """Return the states from which `target` may be reached in one move."""
    return frozenset(state for state, targets in moves.items() if target in targets)
