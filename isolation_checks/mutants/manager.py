"""A mutant of the lease machine: it does not look whose the handle is (M44)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isolation_checks.scratch import Scratch
from warminfra.core.ids import TenantId
from warminfra.leasing.handle import handle_of
from warminfra.leasing.manager import LeaseManager


class _Trusting:
    def __init__(self, real: LeaseManager) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _right(self, lease: TenantId) -> str:
        return handle_of(lease, self._real.seal).reveal()

    def show(self, lease: TenantId, handle: str) -> Any:
        return self._real.show(lease, self._right(lease))

    def renew(self, lease: TenantId, handle: str, ttl: float = 0.0) -> Any:
        return self._real.renew(lease, self._right(lease), ttl)

    def release(self, lease: TenantId, handle: str) -> Any:
        return self._real.release(lease, self._right(lease))


@contextmanager
def any_handle(scratch: Scratch) -> Iterator[None]:
    """Plant a manager that takes every handle for the right one."""
    real = scratch.manager
    scratch.manager = _Trusting(real)  # type: ignore[assignment]
    try:
        yield
    finally:
        scratch.manager = real
