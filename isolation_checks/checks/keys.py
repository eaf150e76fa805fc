"""X4: no key and no secret of one lease is another's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isolation_checks.events import Finding
from isolation_checks.world import World

_SECRET = frozenset({"handle", "secret", "client_secret", "password"})
LEASES = 3


class Keys:
    """All keys, symmetric ones by their id, and all secrets of some leases, pairwise."""

    name = "keys and secrets"
    channels = ("X4",)

    def run(self, world: World) -> None:
        """Compare every pair."""
        leases = [world.scratch.lease() for _ in range(LEASES)]
        keys = [world.scratch.surface.keys(lease) for lease in leases]
        secrets = [frozenset(secrets_of(lease)) for lease in leases]
        for one in range(LEASES):
            world.controls += bool(keys[one]) + bool(secrets[one])
            if not keys[one] or not secrets[one]:
                raise AssertionError("a lease without keys or secrets: nothing was compared")
            for other in range(one):
                world.attempts += 2
                if keys[one] & keys[other]:
                    shared = len(keys[one] & keys[other])
                    self._report(world, "signing or encryption key", f"{shared} keys in common")
                if secrets[one] & secrets[other]:
                    shared = len(secrets[one] & secrets[other])
                    self._report(world, "secret", f"{shared} secrets in common")
        world.scratch.release(*leases)

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(Finding("X4", self.name, f"shared {what}", f"two leases have {detail}"))


def secrets_of(document: Any) -> Iterator[str]:
    """Yield every secret of a lease document."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in _SECRET:
                yield str(value)
            else:
                yield from secrets_of(value)
    elif isinstance(document, list):
        for item in document:
            yield from secrets_of(item)
