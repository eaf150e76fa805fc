"""X14: a leased user has the roles that its recipe declares, and no principal of a lease is more.

In master nobody of a lease exists: whatever a holder can log in with is tried there.
"""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World, witness


class Privilege:
    """The roles in each user's token, against the template; then the lease's logins at master."""

    name = "privilege"
    channels = ("X14",)

    def run(self, world: World) -> None:
        """Look at every user of one lease, while another lives that it could have rights on."""
        other = world.scratch.lease()
        attacker = world.attacker()
        self._roles(world, attacker.lease)
        for credential in attacker.credentials:
            if "client_secret" not in credential.context or credential.one_shot:
                continue
            for cell in world.scratch.surface.cells(credential.kind):
                if cell.verb == "POST" and not cell.server_wide and "admin/" not in cell.endpoint:
                    crossed = world.crosses(cell, credential, None, "master")
                    if crossed:
                        detail = f"the lease's {credential.kind} is known to master"
                        found = witness(cell, "master")
                        world.report(Finding("X14", self.name, found, detail, crossed))
        world.end()
        world.scratch.release(attacker.lease, other)

    def _roles(self, world: World, lease: dict[str, object]) -> None:
        surface = world.scratch.surface
        granted = surface.granted(world.scratch.template)
        for username, roles in surface.roles(lease).items():
            world.attempts += 1
            if not granted[username] & roles:
                raise AssertionError(f"{username} has none of its roles: the look is blind")
            world.controls += 1
            more = roles - granted[username]
            if more:
                detail = f"{username} has roles that nobody declared: {', '.join(sorted(more))}"
                world.report(
                    Finding("X14", self.name, f"{sorted(more)[0]} of a leased user", detail)
                )
