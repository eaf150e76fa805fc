"""The check of neighbours on a stand-in for the server: what it must see, and leave alone."""

from __future__ import annotations

from typing import Any, cast

import pytest

from isolation_checks.checks import neighbours
from isolation_checks.checks.neighbours import Neighbours
from isolation_checks.scratch import Scratch
from isolation_checks.world import World
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.errors import Unreachable
from warminfra.core.secret import Secret

READ = Cell("access token", "GET", "userinfo")
REFRESH = Cell("access token", "POST", "token, refresh")
LOGOUT = Cell("access token", "GET", "logout by hint")
WRITE = Cell("access token", "POST", "admin/realms")


@pytest.fixture(autouse=True)
def no_time_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays does not have to stay for long; some logins fit in all the same."""
    monkeypatch.setattr(neighbours, "STAYS", 0.05)
    monkeypatch.setattr(neighbours, "PAUSE", 0.01)


class _Server:
    """Leases, and one kind of credential; `after` is what B hears once a lease was released."""

    def __init__(self, after: int = 200, *, logins_fail: bool = False) -> None:
        self.surface = self
        self.after, self.logins_fail = after, logins_fail
        self.taken = 0
        self.released: list[str] = []
        self.called: list[Cell] = []

    def lease(self) -> dict[str, Any]:
        self.taken += 1
        return {"id": str(self.taken)}

    def release(self, *leases: dict[str, Any]) -> None:
        self.released += [lease["id"] for lease in leases]

    def known(self, lease: dict[str, Any]) -> dict[str, Any]:
        return lease

    def mint(self, lease: dict[str, Any]) -> list[Credential]:
        if self.logins_fail and self.called:
            raise Unreachable("no login form")
        return [Credential("access token", lease["id"], Secret("t"))]

    def cells(self, kind: str) -> list[Cell]:
        return [READ, REFRESH, LOGOUT, WRITE]

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        self.called.append(cell)
        return Reply(self.after if self.released else 200, "")


def _found(server: _Server) -> World:
    world = World(cast(Scratch, server), lambda _: None)
    Neighbours().run(world)
    return world


def test_a_quiet_neighbour_is_no_finding() -> None:
    """Nothing changes for B: nothing is found, the controls passed, all leases are given back."""
    server = _Server()
    world = _found(server)
    assert (world.found, sorted(server.released)) == ([], ["1", "2", "3"])
    assert world.controls > 0


def test_b_is_never_ended_by_the_check_itself() -> None:
    """Calls that would end B's session, or change something, are not made."""
    server = _Server()
    _found(server)
    assert set(server.called) == {READ, REFRESH}


class _WithAdmin(_Server):
    """Each lease has an admin, who has one registration token at a time: the last one made."""

    def __init__(self) -> None:
        super().__init__()
        self.good: dict[str, int] = {}

    def lease(self) -> dict[str, Any]:
        return {**super().lease(), "admin": {}}

    def mint(self, lease: dict[str, Any]) -> list[Credential]:
        found = super().mint(lease)
        if "admin" in lease:
            number = self.good[lease["id"]] = self.good.get(lease["id"], 0) + 1
            found.append(Credential("registration token", lease["id"], Secret(str(number))))
        return found

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        reply = super().attempt(cell, credential, target)
        if credential.kind == "registration token":
            good = str(self.good[credential.tenant])
            return reply if credential.value.reveal() == good else Reply(401, "")
        return reply


def test_an_admins_own_new_token_is_no_neighbours_deed() -> None:
    """The check logs B in again and again, and makes nothing anew that would end what B has."""
    server = _WithAdmin()
    assert _found(server).found == []
    assert server.good["2"] == 1


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_call_that_fails_after_a_neighbours_end_is_found(status: int) -> None:
    """Each call whose status changed is named."""
    names = [finding.name for finding in _found(_Server(status)).found]
    assert any("userinfo" in name for name in names)
    assert all(name.startswith("X9:") for name in names)


def test_a_login_that_fails_meanwhile_is_found() -> None:
    """B cannot log in while A is taken down."""
    names = [finding.name for finding in _found(_Server(logins_fail=True)).found]
    assert names == [
        "X9:login while a neighbour ends",
        "X9:login at the lease that came while a neighbour ended",
    ]


class _Late(_Server):
    """The lease that came while another went is taken down at its third login."""

    def mint(self, lease: dict[str, Any]) -> list[Credential]:
        if lease["id"] == "3":
            self.logins_of_the_new += 1
            if self.logins_of_the_new == 3:
                raise Unreachable("Realm does not exist")
        return super().mint(lease)

    logins_of_the_new = 0


def test_a_teardown_that_comes_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new lease works at first: one login says nothing of what is still on its way."""
    monkeypatch.setattr(neighbours, "STAYS", 5.0)
    names = [finding.name for finding in _found(_Late()).found]
    assert names == ["X9:login at the lease that came while a neighbour ended"]
