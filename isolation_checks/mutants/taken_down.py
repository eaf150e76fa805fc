"""Mutants of the teardown: what should be gone is not, and nobody says so (M21 to M23, M40)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from isolation_checks.mutants.base import Decorator
from isolation_checks.scratch import Scratch
from warminfra.core.models import FoundTenant, TenantRef
from warminfra.core.ports import Provider

Half = Callable[[Scratch, TenantRef, Provider], None]
"""Does less, or more, than destroying the tenant."""


def half_done(
    half: Half, *, clean: Callable[[Scratch, TenantRef, Provider], None]
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant a teardown that is only half done and lies; clean up behind it."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        left: dict[str, TenantRef] = {}
        reals: list[Provider] = []

        class Liar(Decorator):
            def condemn(self, ref: TenantRef) -> None:
                """What the half leaves alive, nothing kills before it."""

            def destroy_tenant(self, ref: TenantRef) -> None:
                reals[:] = [self.real]
                left[ref.id] = ref
                half(scratch, ref, self.real)

            def verify_gone(self, ref: TenantRef) -> Sequence[str]:
                return []

            def list_tenants(self) -> Sequence[FoundTenant]:
                return [found for found in self.real.list_tenants() if found.ref.id not in left]

        scratch.plant.mutate = Liar
        try:
            yield
        finally:
            for ref in left.values():
                clean(scratch, ref, reals[0])
            scratch.plant.clear()

    return planted


def destroy(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """Do what the teardown should have done."""
    real.destroy_tenant(ref)


def nothing(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """The teardown does nothing at all."""
