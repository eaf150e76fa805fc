"""Trouble made on purpose, on the scratch installation alone: what goes wrong on a real node.

After each the installation converges, or `NoCapacity` says that it does not; nothing that belongs
to a lease may cross because of it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from isolation_checks import steps
from isolation_checks.scratch import Scratch
from warminfra.core.ids import TenantId
from warminfra.core.models import JsonObject

AT_ONCE = 4
SLOW = 0.3
"""Seconds by which each reply of the provider comes later."""
JUMP = 86400.0
"""Seconds that the wall clock goes forward."""


def strike(what: str, scratch: Scratch) -> None:
    """Do it. Returns once the installation works again."""
    match what:
        case steps.KILL_PROVIDER:
            scratch.kill_provider()
        case steps.KILL_SERVICE:
            scratch.kill_service()
        case "lose a reply":
            scratch.wire.lose_the_next()
        case "slow":
            scratch.wire.slow_down(SLOW)
        case "jump clock":
            scratch.clock.jump(JUMP)
        case _:
            raise ValueError(f"no such nemesis: {what!r}")


def release_at_once(scratch: Scratch, lease: JsonObject) -> None:
    """Give the same lease back from some threads in the same moment, and wait for its end."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(
            threads.map(
                lambda _: scratch.manager.release(TenantId(lease["id"]), lease["handle"]),
                range(AT_ONCE),
            )
        )
    scratch.release(lease)
