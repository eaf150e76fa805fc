"""Renews a lease while its command runs, and says when it is lost.

A service that is away is waited for until the lease's deadline and the grace that the service gives
after a restart are both over; a sure no (410, or no such lease) is the end at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from warminfra.client import Client
from warminfra.core.clock import Clock
from warminfra.core.errors import LeaseLost, NotFound, WarminfraError, WrongHandle
from warminfra.core.secret import Secret

RETRY = 1.0
"""Seconds between two tries while the service is away."""


class Heartbeat(threading.Thread):
    """Beats every quarter of `ttl` seconds. `lost` is called once, from this thread."""

    def __init__(
        self,
        client: Client,
        lease: str,
        handle: Secret,
        *,
        ttl: float,
        grace: float,
        clock: Clock,
        lost: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._client = client
        self._lease = lease
        self._handle = handle
        self._ttl = ttl
        self._grace = grace
        self._clock = clock
        self._lost = lost
        self._say = say
        self._over = threading.Event()

    def stop(self) -> None:
        """End the beats. A renewal under way is not waited for."""
        self._over.set()

    def run(self) -> None:
        pause = every = self._ttl / 4
        deadline = self._clock.boot() + self._ttl
        away = False
        while not self._over.wait(pause):
            now = self._clock.boot()
            try:
                self._client.renew(self._lease, self._handle)
            except (LeaseLost, NotFound, WrongHandle) as error:
                self._tell_loss(error.message)
                return
            except WarminfraError as error:
                if now > deadline + self._grace:
                    self._tell_loss(f"no renewal until its deadline: {error.message}")
                    return
                if not away:
                    self._say(f"warminfra: lease {self._lease} is not renewed yet: {error.message}")
                away, pause = True, min(RETRY, every)
            else:
                if away:
                    self._say(f"warminfra: lease {self._lease} is renewed again")
                deadline, away, pause = now + self._ttl, False, every

    def _tell_loss(self, why: str) -> None:
        if not self._over.is_set():
            self._lost(why)
