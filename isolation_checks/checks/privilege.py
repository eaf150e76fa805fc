"""X14: a leased user has the roles that its recipe declares, and no more."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World


class Privilege:
    """The roles in each user's token, against the template."""

    name = "privilege"
    channels = ("X14",)

    def run(self, world: World) -> None:
        """Compare for every user of one lease."""
        declared = {user.username: frozenset(user.roles) for user in world.scratch.template.users}
        lease = world.scratch.lease()
        for username, roles in world.scratch.surface.roles(lease).items():
            world.attempts += 1
            if not declared[username] <= roles:
                raise AssertionError(f"{username} lacks declared roles: the look is blind")
            world.controls += bool(declared[username])
            more = roles - declared[username]
            if more:
                detail = f"{username} has roles that nobody declared: {', '.join(sorted(more))}"
                world.report(
                    Finding("X14", self.name, f"{sorted(more)[0]} of a leased user", detail)
                )
        world.scratch.release(lease)
