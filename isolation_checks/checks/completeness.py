"""X5: a tenant made while another of the same template lives is as whole as one made alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.errors import ProviderRefused, Unreachable
from warminfra.core.models import JsonObject

_BEFORE, _SHOWN = 60, 240
"""Characters of a difference that are shown: before where it begins, and in all."""

Shape = Mapping[str, object]


class Completeness:
    """What a lease made beside another can do, against what the one made alone could.

    What is inside is the same; every declared user logs in and has the same roles; the realm has as
    many keys; the first user's login yields the same kinds of credentials. Things of the same name
    or id in one template are what makes the second of two lose some of its own.
    """

    name = "completeness"
    channels = ("X5",)

    def run(self, world: World) -> None:
        """Take one alone, then another beside it, and compare."""
        alone = world.scratch.lease()
        whole = shape(world, alone)
        if not alone["users"]:
            raise AssertionError("the recipe has no users: there is nothing to be complete")
        try:
            beside = world.scratch.lease()
        except ProviderRefused as error:
            _report(world, "the making", f"a lease beside another is refused: {error.message}")
            world.scratch.release(alone)
            return
        try:
            found = shape(world, beside)
        except Unreachable as error:
            # The same look has just worked on the lease made alone.
            _report(world, "a login", f"a login at the lease made beside fails: {error.message}")
        else:
            world.attempts += len(whole)
            world.controls += len(whole)
            for part, unlike in differences(found, whole):
                _report(world, part, unlike)
        world.scratch.release(alone, beside)


def shape(world: World, lease: JsonObject) -> Shape:
    """Return what a lease can do, for a comparison. Raises `Unreachable` if a login fails."""
    surface = world.scratch.surface
    return {
        **surface.shape(lease),
        "roles of users": {name: sorted(roles) for name, roles in surface.roles(lease).items()},
        "number of keys": len(surface.keys(lease)),
        "kinds of credentials": sorted(credential.kind for credential in surface.mint(lease)),
    }


def differences(found: Shape, whole: Shape) -> Iterator[tuple[str, str]]:
    """Yield each part that is not as it should be, what is too much as well, with how it differs.

    How: both from where they begin to differ, some characters of each.
    """
    for part in sorted(found.keys() | whole.keys()):
        if found.get(part) != whole.get(part):
            yield part, f"{part}: {_unlike(str(found.get(part)), str(whole.get(part)))}"


def _unlike(one: str, other: str) -> str:
    unlike = (at for at, pair in enumerate(zip_longest(one, other)) if pair[0] != pair[1])
    begin = max(next(unlike, 0) - _BEFORE, 0)
    end = begin + _SHOWN
    return f"{one[begin:end]} instead of {other[begin:end]}"


def _report(world: World, what: str, detail: str) -> None:
    world.report(Finding("X5", Completeness.name, f"{what} of a lease made beside another", detail))
