"""Handles and digests of keys: who holds a lease, without storing what proves it.

Each is an HMAC under the installation's seal: the same request gets the same handle again, the
ledger alone tells no handle, and no key can be guessed by it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

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


def hash_request(key: str, run: str, slot: str, seal: Secret) -> str:
    """Return the digest by which the ledger knows a request: one key serves all slots of a run."""
    return _sealed(["request", key, run, slot], seal)


def hash_run(key: str, run: str, seal: Secret) -> str:
    """Return the digest by which the ledger knows who may end a whole run."""
    return _sealed(["run", key, run], seal)


def _sealed(words: Sequence[str], seal: Secret) -> str:
    return hmac.new(seal.reveal().encode(), json.dumps(words).encode(), hashlib.sha256).hexdigest()
