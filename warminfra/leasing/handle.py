"""Handles and key hashes: who holds a lease, without storing what proves it.

A handle is an HMAC of the lease's id under the installation's seal: the same request gets it again,
the ledger alone does not tell it.
"""

from __future__ import annotations

import hashlib
import hmac

from warminfra.core.errors import WrongHandle
from warminfra.core.ids import TenantId
from warminfra.core.secret import Secret


def handle_of(lease: TenantId, seal: Secret) -> Secret:
    """Return the handle of a lease: 256 bits, hex."""
    return Secret(hmac.new(seal.reveal().encode(), lease.encode(), hashlib.sha256).hexdigest())


def check_handle(lease: TenantId, handle: str, seal: Secret) -> None:
    """Raise `WrongHandle` unless `handle` is the lease's."""
    if not hmac.compare_digest(handle_of(lease, seal).reveal().encode(), handle.encode()):
        raise WrongHandle(f"the handle given is not that of lease {lease}")


def hash_key(key: str) -> str:
    """Return the hash under which the ledger knows a request's key."""
    return hashlib.sha256(key.encode()).hexdigest()
