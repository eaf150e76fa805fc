"""What lies between the scratch service and its provider: mutants sit here, and replies get lost.

A call always reaches the real provider. What may be done to its reply: lose it, delay it, or let
the service die before it hears it (its thread ends there, and nothing is written down).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, cast

from isolation_checks.plant import Plant, Switch, UnderWay
from warminfra.core.audit import AuditPackage
from warminfra.core.errors import OutcomeUnknown
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.ports import Distribution, Provider
from warminfra.core.reach import FindReach, Reach
from warminfra.core.template import ClientSpec, Template, UserSpec

_CHANGES = frozenset({"create_tenant", "destroy_tenant"})


class Wire:
    """What happens to the replies of the provider. Quiet unless told otherwise."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.at_the_end = ExitStack()
        """Closes the connections of every provider that was made."""
        self.died = threading.Event()
        self.met: list[str] = []
        """Calls that made or destroyed, as the server met them."""
        self.overlaps: list[str] = []
        """Those that came while another was under way."""
        self._lose = self._die = False

    def lose_the_next(self) -> None:
        """Let the next call that changes something be done, and its reply be lost."""
        self._lose = True

    def die_at_the_next(self) -> None:
        """Let the service die after the next call that changes something, before it hears of it."""
        self.died.clear()
        self._die = True

    def slow_down(self, seconds: float) -> None:
        """Delay every reply from now on."""
        self.delay = seconds

    def calm(self) -> None:
        """Make no more trouble."""
        self.delay, self._lose, self._die = 0.0, False, False

    def carried(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with whatever happens to its reply."""

        def through(*args: Any, **named: Any) -> Any:
            reply = call(*args, **named)
            if self.delay:
                time.sleep(self.delay)
            if name in _CHANGES and self._die:
                self._die = False
                self.died.set()
                raise SystemExit  # ends the worker's thread, and no other
            if name in _CHANGES and self._lose:
                self._lose = False
                raise OutcomeUnknown(f"{name}: the reply was lost on purpose")
            return reply

        return through


class ScratchPackage:
    """The provider package with an auditor on its servers, and plant and wire before them."""

    def __init__(self, real: AuditPackage, plant: Plant, wire: Wire) -> None:
        self._real, self._plant, self._wire = real, plant, wire
        self.name = real.name

    def distribution(self, settings: Mapping[str, Any], reach: FindReach = Reach) -> Distribution:
        real = self._real.audited(settings, reach)
        switch: Any = Switch(real, lambda one: self._plant.distribute(one), self._plant)
        return cast(Distribution, switch)

    def external(
        self, settings: Mapping[str, Any], installation: InstallationId
    ) -> ServerAccess | None:
        return None

    def leave(self, settings: Mapping[str, Any], installation: InstallationId) -> None:
        """Nothing of ours is on a server that is not ours."""

    def connect(
        self, access: ServerAccess, installation: InstallationId, settings: Mapping[str, Any]
    ) -> Provider:
        real: Any = self._real.connect(access, installation, settings)
        close = getattr(real, "close", None)
        if close is not None:
            self._wire.at_the_end.callback(close)
        noted: Any = UnderWay(real, self._wire.met, self._wire.overlaps)
        switch: Any = Switch(noted, lambda one: self._plant.mutate(one), self._plant, self._wire)
        return cast(Provider, switch)

    def template(
        self,
        recipe: str,
        client: ClientSpec,
        users: Sequence[UserSpec],
        *,
        admin: bool,
        realm: Mapping[str, Any] | None,
        settings: Mapping[str, Any],
    ) -> tuple[Template, Sequence[str]]:
        return self._real.template(
            recipe, client, users, admin=admin, realm=realm, settings=settings
        )
