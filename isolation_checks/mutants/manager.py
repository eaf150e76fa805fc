"""Mutants of the lease machine: it does not look whose the handle is, or when (M30, M44, M53)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from isolation_checks.mutants.base import Planting
from isolation_checks.scratch import Scratch
from warminfra.core.ids import TenantId
from warminfra.leasing.handle import handle_of
from warminfra.leasing.manager import LeaseManager


def managed(decorate: Callable[[LeaseManager], Any]) -> Planting:
    """Plant a decorator over the lease machine."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        scratch.plant.manage = decorate
        try:
            yield
        finally:
            scratch.plant.clear()

    return planted


class Passing:
    """A manager that passes everything on; mutants override what they spoil."""

    def __init__(self, real: LeaseManager) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Trusting(Passing):
    """M44: every handle is taken for the right one."""

    def _right(self, lease: TenantId) -> str:
        return handle_of(lease, self.real.seal).reveal()

    def show(self, lease: TenantId, handle: str) -> Any:
        return self.real.show(lease, self._right(lease))

    def renew(self, lease: TenantId, handle: str, ttl: float = 0.0) -> Any:
        return self.real.renew(lease, self._right(lease), ttl)

    def release(self, lease: TenantId, handle: str) -> Any:
        return self.real.release(lease, self._right(lease))


class Forgetful(Passing):
    """M53: a hold lasts a thousand times as long as was asked for."""

    def hold(self, lease: TenantId, handle: str, seconds: float) -> Any:
        return self.real.hold(lease, handle, seconds * 1000)


def stale() -> Planting:
    """M30: what a holder was shown once is shown again from a cache, whatever happened since."""
    shown: dict[tuple[str, str], Any] = {}

    class Stale(Passing):
        def show(self, lease: TenantId, handle: str) -> Any:
            if (lease, handle) not in shown:
                shown[lease, handle] = self.real.show(lease, handle)
            return shown[lease, handle]

    return managed(Stale)
