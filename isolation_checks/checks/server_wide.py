"""X11: nothing that a tenant does, its making included, changes what is of the server itself."""

from __future__ import annotations

from isolation_checks.checks.authority import ends
from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.audit import AuditSurface

_SHOWN = 5


class ServerWide:
    """The server's own settings, its realms and master's, before a lease and after all it can do.

    The lease makes every call that changes something, at its own tenant and at master, marks every
    field it can write, and ends.
    """

    name = "server-wide settings"
    channels = ("X11",)

    def run(self, world: World) -> None:
        """One lease, from before its making to after its end."""
        surface = world.scratch.surface
        before = _state(surface, "")
        attacker = world.attacker()
        own = str(attacker.lease["tenant"])
        inside = surface.digest(attacker.lease)
        for credential in attacker.credentials:
            for cell in surface.cells(credential.kind):
                if credential.one_shot or (cell.verb == "GET" and "token" not in credential.kind):
                    continue
                if cell.verb != "GET":
                    surface.attempt(cell, credential, None)
                    world.attempts += 1
                    if not ends(cell):
                        surface.attempt(cell, credential, attacker.lease)
                        world.attempts += 1
        surface.mark(attacker.lease, "changed")
        if surface.digest(attacker.lease) == inside:
            raise AssertionError("nothing that the lease did has changed even its own tenant")
        world.controls += 1
        during = _state(surface, own)
        world.scratch.release(attacker.lease)
        for when, after in (("lives", during), ("has ended", _state(surface, ""))):
            changed = sorted(
                part for part in before.keys() | after.keys() if before.get(part) != after.get(part)
            )
            if changed:
                world.report(
                    Finding(
                        "X11",
                        self.name,
                        f"{changed[0]} changed while a lease {when}",
                        f"{len(changed)} parts of the server's own settings changed",
                        tuple(changed[:_SHOWN]),
                    )
                )
        world.end()


def _state(surface: AuditSurface, tenant: str) -> dict[str, str]:
    """Return what is of the server itself, by part, and which tenants it has beside this one."""
    others = {name for name in surface.inventory()["realm"] if name.split()[0] != tenant}
    return {**surface.server_state(), "the server's realms": "\n".join(sorted(others))}
