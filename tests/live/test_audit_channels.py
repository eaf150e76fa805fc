"""The stock server judged, by a careless template: what crosses, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import isolation_checks
from isolation_checks.checks.artifacts import Artifacts
from isolation_checks.checks.base import Check
from isolation_checks.checks.canaries import Canaries
from isolation_checks.checks.events import KeptEvents
from isolation_checks.checks.host import Egress, Host
from isolation_checks.checks.museum import Museum
from isolation_checks.checks.neighbours import Neighbours
from isolation_checks.checks.oracle import Oracle
from isolation_checks.checks.profile import Profile
from isolation_checks.checks.replay import Replay
from isolation_checks.checks.server_wide import ServerWide
from isolation_checks.engine import CHECKS
from isolation_checks.events import Event, LeftOut
from isolation_checks.hunt import hunt
from isolation_checks.mutants.catalogue import MUTANTS
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.world import World
from warminfra.config import load
from warminfra.core.audit import AuditPackage
from warminfra.service.composition import provider_package

pytestmark = pytest.mark.live

RECIPE = Path(isolation_checks.__file__).parent / "recipes" / "fixed"
USED_UP = {
    f"X3:{kind} that a neighbour has used"
    for kind in (
        "jti of a client assertion",
        "internal id of a client",
        "internal id of a client scope",
    )
}
FOLLOWED = "X2:request uri at GET authorization, request uri of B"


@pytest.fixture(scope="module")
def server(live_cache: Path) -> Iterator[Scratch]:
    """A scratch installation whose template fixes client id, redirect and users for all leases."""
    settings = load(environ={}).settings
    own = replace(settings, service=replace(settings.service, cache_dir=live_cache))
    package = cast("AuditPackage", provider_package("keycloak"))
    with scratch(own, package, RECIPE, print) as started:
        yield started


def found(server: Scratch, check: Check) -> tuple[set[str], Sequence[Event]]:
    """Run the check; return what it found by name, and what it told."""
    told: list[Event] = []
    world = World(server, told.append)
    check.run(world)
    assert world.controls
    return {finding.name for finding in world.found}, told


def test_of_one_shot_artifacts_only_a_request_uri_crosses(server: Scratch) -> None:
    """Between clients of the same id (keycloak#50135); what cannot be minted is named."""
    names, told = found(server, Artifacts())
    assert names == {FOLLOWED, f"{FOLLOWED}, whose client has the same id"}
    absent = {event.what for event in told if isinstance(event, LeftOut)}
    assert absent == {
        "client assertion (at B)",
        "backchannel authentication id (at B)",
        "backchannel authentication id (at B, whose client has the same id)",
    }


def test_of_a_dead_lease_only_an_unused_request_uri_is_worth_something(server: Scratch) -> None:
    """At a later lease whose client has the same id: it outlives its realm."""
    assert found(server, Museum())[0] == {f"X7:{FOLLOWED.removeprefix('X2:')}"}


def test_what_a_neighbour_used_is_used_up_where_the_store_has_no_realm(server: Scratch) -> None:
    """A `jti` of an assertion, internal ids of clients and scopes; a proof, a nonce, a user not."""
    assert found(server, Replay())[0] == USED_UP


def test_an_admin_sends_the_server_out_and_learns_which_client_ids_are_taken(
    server: Scratch,
) -> None:
    """Five ways out of an admin's own clients; an id that B has answers 409."""
    names, _ = found(server, Egress())
    assert names == {
        f"X13:call by {way}"
        for way in (
            "back-channel logout",
            "client's keys by address",
            "client's requests by address",
            "sector identifier",
            "client's management address",
        )
    }
    assert found(server, Oracle())[0] == {"X12:internal id of a client"}


@pytest.mark.parametrize(
    "check",
    [Host(), Profile(), ServerWide(), Canaries(), KeptEvents(), Neighbours()],
    ids=lambda check: check.name,
)
def test_what_does_not_cross(server: Scratch, check: Check) -> None:
    """Nothing of the host, of a browser's other sessions, of master, of marks, of dead rows, and
    nothing that was good ends with a neighbour, an admin's tokens included."""
    assert found(server, check)[0] == set()


@pytest.mark.parametrize(
    "name",
    [
        "M17",
        "M19",
        "M29",
        "M38",
        "M42",
        "M52",
        "M54",
        "M55",
        "M56",
        "M57",
        "M58",
        "M59",
        "M60",
        "M61",
        "M62",
        "M63",
        "M64",
    ],
)
def test_each_channel_sees_its_fault(server: Scratch, name: str) -> None:
    """A fault that is planted is seen, by something that the stock server does not show."""
    (mutant,) = (one for one in MUTANTS if one.id == name)
    stock = {FOLLOWED, f"{FOLLOWED}, whose client has the same id", "X12:internal id of a client"}
    stock |= {*USED_UP, "X13:call by back-channel logout"}
    told: list[Event] = []
    seen = hunt(server, mutant, CHECKS, told.append, stock=stock)
    assert seen.killed_by, told
