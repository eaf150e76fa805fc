"""X4: no key and no secret of one lease is another's, or can be had from what everybody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from isolation_checks.checks.derived import derivations, guessable
from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.models import JsonObject

_SECRET = frozenset({"handle", "secret", "client_secret", "password"})
_PUBLIC = ("id", "tenant", "run", "slot", "recipe", "domain", "issuer", "expires_at", "provider")
LEASES = 3


class Keys:
    """All keys and secrets of some leases against each other and against all that were ever lent.

    The database is read too: symmetric keys and password hashes, which no endpoint shows, must not
    stand there twice.
    """

    name = "keys and secrets"
    channels = ("X4",)

    def run(self, world: World) -> None:
        """Compare every pair; then each secret with what can be made of public facts."""
        scratch = world.scratch
        before = [secret for lease in scratch.lent for secret in secrets_of(lease)]
        leases = [scratch.lease() for _ in range(LEASES)]
        for lease in leases:
            own = list(secrets_of(lease))
            if not own:
                raise AssertionError("a lease without secrets: nothing was compared")
            world.controls += 1
            self._secrets(world, lease, own, before)
            before += own
        self._keys(world, leases)
        self._rows(world)
        world.scratch.release(*leases)

    def _secrets(self, world: World, lease: JsonObject, own: list[str], before: list[str]) -> None:
        known = derivations(public_facts(lease))
        for secret in own:
            world.attempts += 1
            if secret in before or own.count(secret) > 1:
                self._report(world, "shared secret", "two secrets are the same")
            if guessable(secret):
                self._report(world, "weak secret", "a secret is too short, or masked")
            fact = next((known[part] for part in known if part in secret), "")
            if fact:
                self._report(world, "derived secret", f"a secret is made of {fact}")

    def _keys(self, world: World, leases: list[JsonObject]) -> None:
        keys = [world.scratch.surface.keys(lease) for lease in leases]
        for one, mine in enumerate(keys):
            if not mine:
                raise AssertionError("a lease without keys: nothing was compared")
            world.controls += 1
            for other in keys[:one]:
                world.attempts += 1
                if mine & other:
                    shared = f"two leases have {len(mine & other)} keys in common"
                    self._report(world, "shared signing or encryption key", shared)

    def _rows(self, world: World) -> None:
        found = Counter(secret for row in world.scratch.rows() for secret in row.secrets)
        if not found:
            raise AssertionError("the database shows no secret: nothing was compared")
        world.controls += 1
        world.attempts += len(found)
        twice = [secret for secret, number in found.items() if number > 1]
        if twice:
            detail = f"{len(twice)} keys or secrets stand in the server's database twice"
            self._report(world, "shared row of a key or secret", detail)

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(Finding("X4", self.name, what, detail))


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


def public_facts(lease: JsonObject) -> dict[str, str]:
    """Return what others than the holder know or see of a lease, by name."""
    facts = {name: str(lease[name]) for name in _PUBLIC if lease.get(name)}
    facts["client's id"] = lease["client"]["id"]
    facts["installation"] = lease["id"].partition("-")[0]
    facts |= {f"user {user['username']}": user["username"] for user in lease["users"]}
    return facts
