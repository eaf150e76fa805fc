"""What every `AuditSurface` must do, as tests that a provider's package inherits.

    class TestMine(AuditSurfaceConformance):
        @pytest.fixture
        def surface(self) -> AuditSurface: ...
        @pytest.fixture
        def lease(self) -> Callable[[], JsonObject]: ...
        @pytest.fixture
        def release(self) -> Callable[[JsonObject], None]: ...

`lease` takes a new lease on the server that `surface` looks at, `release` gives it back and waits
until it is gone. A surface that passes can carry an audit; whether it *sees* enough is for the
planted faults to show (`warminfra audit --self-test`).
"""

# Tests that ship with the package: their asserts are the point.
# ruff: noqa: S101

from __future__ import annotations

from collections.abc import Callable

import pytest

from warminfra.core.audit import AuditSurface, Cell
from warminfra.core.models import JsonObject

Lease = Callable[[], JsonObject]
Release = Callable[[JsonObject], None]


class AuditSurfaceConformance:
    """Inherit, and say how to get a surface and leases."""

    @pytest.fixture
    def surface(self) -> AuditSurface:
        """Return the surface under test."""
        raise NotImplementedError

    @pytest.fixture
    def lease(self) -> Lease:
        """Return a way to take a lease."""
        raise NotImplementedError

    @pytest.fixture
    def release(self) -> Release:
        """Return a way to give one back."""
        raise NotImplementedError

    def test_every_credential_works_somewhere_at_its_owner(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """In some cell it is told from a forged one: else nothing that it is tried on proves
        anything."""
        taken = lease()
        kinds = [credential.kind for credential in surface.mint(taken)]
        deaf = [kind for kind in kinds if not _works_somewhere(surface, kind, taken)]
        release(taken)
        assert len(set(kinds)) == len(kinds)
        assert deaf == []

    def test_two_forged_ones_are_answered_alike(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """Nothing that differs from call to call stays in the canonical answer."""
        taken = lease()
        unlike = []
        for credential in surface.mint(taken):
            one, other = surface.never_valid(credential), surface.never_valid(credential)
            assert one.kind == other.kind == credential.kind
            assert len({one.value, other.value, credential.value}) == 3
            for cell in surface.cells(credential.kind):
                first, second = (surface.attempt(cell, forged, taken) for forged in (one, other))
                if (first.status, first.text) != (second.status, second.text):
                    unlike.append(f"{cell}: {first} and {second}")
        release(taken)
        assert unlike == []

    def test_a_login_shows_in_the_digest_and_nothing_else_does(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """The digest stands still by itself, and changes with what happens inside, not beside."""
        mine, theirs = lease(), lease()
        looks = (surface.digest, surface.inside)
        before = [look(mine) for look in looks]
        surface.mint(theirs)
        still = [look(mine) for look in looks]
        surface.mint(mine)
        after = [look(mine) for look in looks]
        release(mine)
        release(theirs)
        assert before == still
        assert all(new != old for new, old in zip(after, before, strict=True))

    def test_two_leases_of_one_template_have_one_shape(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """Nothing that a lease has of its own stands in it, and it is not empty."""
        one, other = lease(), lease()
        shapes = surface.shape(one), surface.shape(other)
        release(one)
        release(other)
        assert shapes[0] == shapes[1]
        assert all(shapes[0].values())
        own = one["tenant"], one["id"], one["client"]["secret"]
        assert not any(name in part for part in shapes[0].values() for name in own)

    def test_a_lease_shows_in_the_inventory_while_it_lives(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """And once it is gone, the inventory is what it was."""
        before = surface.inventory()
        taken = lease()
        during = surface.inventory()
        release(taken)
        assert any(taken["tenant"] in thing for things in during.values() for thing in things)
        assert surface.inventory() == before

    def test_fresh_holders_are_none_of_the_leases_own(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """Other client, other users, other secrets, in the same tenant; and they can log in."""
        taken = lease()
        fresh = surface.fresh(taken)
        kinds = {credential.kind for credential in surface.mint(fresh)}
        expected = {credential.kind for credential in surface.mint(taken)}
        release(taken)
        assert fresh["tenant"] == taken["tenant"]
        assert fresh["client"]["id"] != taken["client"]["id"]
        assert fresh["client"]["secret"] != taken["client"]["secret"]
        names = ({user["username"] for user in one["users"]} for one in (fresh, taken))
        assert not set.intersection(*names)
        assert kinds == expected

    def test_keys_of_two_leases_are_named_apart(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """Each has some, and none of the other's."""
        one, other = lease(), lease()
        keys = surface.keys(one), surface.keys(other)
        release(one)
        release(other)
        assert all(keys)
        assert not keys[0] & keys[1]

    def test_a_cell_is_of_the_kind_that_it_is_listed_for(
        self, surface: AuditSurface, lease: Lease, release: Release
    ) -> None:
        """Each kind has cells, each cell its kind, and none stands twice."""
        taken = lease()
        for credential in surface.mint(taken):
            cells = surface.cells(credential.kind)
            assert cells
            assert {cell.kind for cell in cells} == {credential.kind}
            assert len(set(cells)) == len(cells)
        release(taken)


def _works_somewhere(surface: AuditSurface, kind: str, lease: JsonObject) -> bool:
    """Say whether an owner's attempt is told from a forged one.

    It is minted anew, for what was tried before may have ended the session; reading comes first.
    """
    (credential,) = (one for one in surface.mint(lease) if one.kind == kind)

    def works(cell: Cell) -> bool:
        twin = surface.again(credential, lease) if credential.one_shot else credential
        forged = surface.attempt(cell, surface.never_valid(credential), lease)
        return surface.attempt(cell, twin, lease) != forged

    mildest_first = sorted(surface.cells(credential.kind), key=lambda cell: cell.verb != "GET")
    return any(works(cell) for cell in mildest_first)
