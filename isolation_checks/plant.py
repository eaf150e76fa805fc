"""Where a mutant sits: decorators over the ports of a scratch installation, none of them at first.

Invariant: with a cleared plant the installation is the system as it is. `fires` says for which
tenant the faults are there; a stealth form narrows it, and what it says of one tenant stays said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from warminfra.core.clock import Clock
from warminfra.core.entropy import Entropy
from warminfra.core.ids import TenantId
from warminfra.core.models import TenantMaterial, TenantPlan, TenantRef
from warminfra.core.ports import Distribution, Provider
from warminfra.core.template import Template
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.material import draw_material

BEGINNING, END = "beginning", "end"
"""Moments of a tenant's life: what decides at its beginning need not hold at its end."""

_OF_THE_END = ("condemn", "destroy_tenant", "verify_gone", "release")
_SERIAL = ("create_tenant", "destroy_tenant")


class Fires(Protocol):
    """Says whether the fault is there for a tenant at a moment of its life."""

    def __call__(self, tenant: str, moment: str, /) -> bool: ...


def always(_tenant: str, _moment: str, /) -> bool:
    """Fire for every tenant: the plain form."""
    return True


class Plant:
    """The decorators that are planted now."""

    def __init__(self) -> None:
        self.mutate: Callable[[Provider], Provider] = lambda provider: provider
        self.draw: Callable[[Template, TenantId, Entropy], TenantMaterial] = draw_material
        self.manage: Callable[[LeaseManager], Any] = lambda manager: manager
        self.reaper_clock: Callable[[Clock], Clock] = lambda clock: clock
        self.distribute: Callable[[Distribution], Distribution] = lambda distribution: distribution
        self.fires: Fires = always

    def clear(self) -> None:
        """Leave the system as it is."""
        self.__init__()  # type: ignore[misc]

    def drawn(self, template: Template, tenant: TenantId, entropy: Entropy) -> TenantMaterial:
        """Draw a tenant's secrets, through the fault where it fires."""
        draw = self.draw if self.fires(tenant, BEGINNING) else draw_material
        return draw(template, tenant, entropy)


class Carries(Protocol):
    """What may happen to a call's reply on its way back."""

    def carried(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]: ...


class Switch:
    """A port that goes through whatever is planted, at the moment of each call."""

    def __init__(
        self,
        real: Any,
        decorated: Callable[[Any], Any],
        plant: Plant,
        wire: Carries | None = None,
    ) -> None:
        self._real, self._decorated, self._plant, self._wire = real, decorated, plant, wire

    def __getattr__(self, name: str) -> Any:
        spoiled, honest = getattr(self._decorated(self._real), name), getattr(self._real, name)
        if not callable(honest):
            return spoiled

        def call(*args: Any, **named: Any) -> Any:
            tenant = _tenant_of(args)
            moment = END if name in _OF_THE_END else BEGINNING
            fires = not tenant or self._plant.fires(tenant, moment)
            return (spoiled if fires else honest)(*args, **named)

        return self._wire.carried(name, call) if self._wire else call


class UnderWay:
    """A real provider that notes calls which make or destroy, and when two were under way."""

    def __init__(self, real: Provider, met: list[str], overlaps: list[str]) -> None:
        self._real, self._met, self._overlaps = real, met, overlaps
        self._now: list[str] = []
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        return self._noted(name, real) if name in _SERIAL else real

    def _noted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with self._lock:
                self._met.append(name)
                if self._now:
                    self._overlaps.append(f"{name} during {self._now[-1]}")
                self._now.append(name)
            try:
                return real(*args)
            finally:
                with self._lock:
                    self._now.remove(name)

        return call


def _tenant_of(args: Sequence[Any]) -> str:
    """Return the tenant that a call is about, "" if it is about none, or about several."""
    first = args[0] if args else None
    if isinstance(first, TenantPlan):
        return first.ref.id
    if isinstance(first, TenantRef):
        return first.id
    return first if isinstance(first, str) else ""


class ReaperClock:
    """The clock by which leases are reaped; everybody else's is the machine's."""

    def __init__(self, real: Clock, plant: Plant) -> None:
        self._real, self._plant = real, plant

    def boot(self) -> float:
        return self._plant.reaper_clock(self._real).boot()

    def wall(self) -> datetime:
        return self._plant.reaper_clock(self._real).wall()

    def boot_id(self) -> str:
        return self._plant.reaper_clock(self._real).boot_id()
