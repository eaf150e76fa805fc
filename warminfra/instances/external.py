"""A server that is not ours: nothing is started, nothing stopped, nothing cleared but our own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import structlog

from warminfra.core.errors import ConfigInvalid, WarminfraError
from warminfra.core.ids import InstanceId
from warminfra.core.models import RunningInstance, ServerAccess
from warminfra.core.ports import Progress

log = structlog.get_logger()

INCARNATION = "external"
"""We never see such a server restart; it counts as one life."""


class ExternalLauncher:
    """Hands out the access to one external server.

    `access` is asked at each `start`, as it may have to make our identities there first; it returns
    None if the configuration names no such server. `leave` takes the identities away.
    """

    def __init__(
        self, url: str, access: Callable[[], ServerAccess | None], leave: Callable[[], None]
    ) -> None:
        self._url = url
        self._access = access
        self._leave = leave
        self._running: RunningInstance | None = None

    def prepare(self, progress: Progress) -> None:
        """Nothing to prepare."""

    def instances(self) -> Collection[InstanceId]:
        """Return none: the server is somebody else's."""
        return ()

    def start(self, instance: InstanceId, progress: Progress) -> RunningInstance:
        """Return the access. Raises `ConfigInvalid` if there is none, and what `access` raises."""
        progress("connecting to the external server")
        access = self._access()
        if access is None:
            raise ConfigInvalid(
                "no external server is configured", hint="set keycloak.url and its credentials"
            )
        self._running = RunningInstance(instance, access, INCARNATION)
        return self._running

    def adopt(self, instance: InstanceId) -> RunningInstance | None:
        """Return what `start` returned in this process, or None."""
        running = self._running
        return running if running is not None and running.id == instance else None

    def alive(self, running: RunningInstance) -> bool:
        """Always: only a call to it can tell."""
        return True

    def stop(self, instance: InstanceId, *, discard: bool) -> None:
        """Let go of it, with `discard` for good: our identities there end. Its tenants were
        destroyed one by one, by name and id."""
        self._running = None
        if discard:
            try:
                self._leave()
            except WarminfraError as error:
                log.error("our identities stay on the external server", error=str(error))

    def renounce(self, instance: InstanceId) -> None:
        """Let go of the access: the next `start` asks for another."""
        self._running = None

    def fingerprint(self) -> Mapping[str, str]:
        """Return its address: what it is made of, only the provider can ask."""
        return {"server.external": self._url}
