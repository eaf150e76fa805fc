"""A server that is not ours: what others made there is neither touched nor counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALMS,
    URL_ADMIN_USER_CLIENT_ROLES,
)

from testbed.admin_server import admin_of, admin_server, guest_config
from testbed.installation import Installation, wait_until
from tests.live.test_service_lease import give_back, take
from warminfra.core.errors import IdentityRefused
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.entry import KeycloakPackage
from warminfra_keycloak.external import external_access, leave_external
from warminfra_keycloak.takeover import (
    MASTER_CLIENT,
    ServiceAccount,
    entitle,
    looker_of,
    maker_of,
)

pytestmark = pytest.mark.live

POOL_OF_ONE = "[pool]\nmin = 1\nmax = 1\n"
MASTER = {"realm-name": "master"}
FOREIGN = ("prod", "wi", "wi-aaaaaaaa-0123456789abcdefghijklmnop")
"""Somebody's realm, and two that are called like ours."""


@pytest.fixture(scope="module")
def theirs(live_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAccess]:
    """A server with an admin of its own and realms of others."""
    with (
        admin_server(tmp_path_factory.mktemp("theirs"), live_cache) as access,
        closing(admin_of(access)) as admin,
    ):
        for name in FOREIGN:
            realm = {"realm": name, "enabled": True, "attributes": {"whose": "theirs"}}
            admin.send("POST", URL_ADMIN_REALMS, json=realm, timeout=60)
        yield access


def realms(access: ServerAccess) -> dict[str, dict[str, Any]]:
    """Return every realm of the server in full, by name."""
    with closing(admin_of(access)) as admin:
        listed = admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json()
        return {
            realm["realm"]: admin.get(
                URL_ADMIN_REALM.format(**{"realm-name": realm["realm"]})
            ).json()
            for realm in listed
        }


def clients_of_master(access: ServerAccess) -> list[str]:
    """Return the ids of all clients of master."""
    with closing(admin_of(access)) as admin:
        found = admin.get(URL_ADMIN_CLIENTS.format(**MASTER)).json()
    return sorted(client["clientId"] for client in found)


def test_a_guest_takes_what_it_brought_and_nothing_else(
    theirs: ServerAccess, tmp_path: Path
) -> None:
    """Leases work on an external server; after `down --purge` it is as it was: realm by realm, and
    in master's clients, our own two identities included.

    A realm that carries the name of one of our tenants, but not its internal id, stays.
    """
    config = POOL_OF_ONE + guest_config(theirs, tmp_path)
    before, clients = realms(theirs), clients_of_master(theirs)
    with Installation.temporary(config=config) as guest:
        guest.up()
        guest.enroll()
        guest.wait_ready(1)
        first = take(guest, "--domain", "docs.ci.example")
        give_back(guest, first)
        impostor = {"realm": first["tenant"], "enabled": True}
        with closing(admin_of(theirs)) as admin:
            admin.send("POST", URL_ADMIN_REALMS, json=impostor, timeout=60)
        take(guest)  # held by a run that forgets it
        wait_until(lambda: guest.tenants()["ready"] == 1, 30.0, "a tenant in the pool")
        there = realms(theirs)
        assert len(there) == len(before) + 3, "the impostor, the lease, the pool"
        guest.run("down", "--purge", "--yes")
    after = realms(theirs)
    assert after.pop(first["tenant"])["id"] == there[first["tenant"]]["id"]
    assert after == before
    assert clients_of_master(theirs) == sorted([*clients, f"{first['tenant']}-realm"])


def test_a_server_that_forgot_its_guest_is_introduced_to_it_again(
    theirs: ServerAccess, tmp_path: Path
) -> None:
    """As after a restore from a backup: the service that runs makes its two clients anew."""
    config = POOL_OF_ONE + guest_config(theirs, tmp_path)
    before = clients_of_master(theirs)
    with Installation.temporary(config=config) as guest:
        guest.up()
        made = set(clients_of_master(theirs)) - set(before)
        assert len(made) == 2
        with closing(admin_of(theirs)) as admin:
            for client in made:
                listed = admin.get(URL_ADMIN_CLIENTS.format(**MASTER), params={"clientId": client})
                path = URL_ADMIN_CLIENT.format(**MASTER, id=listed.json()[0]["id"])
                admin.send("DELETE", path, timeout=60)
        wait_until(lambda: made <= set(clients_of_master(theirs)), 60.0, "clients made anew")
        guest.enroll()
        guest.wait_ready(1)
        give_back(guest, take(guest))
        guest.run("down", "--purge", "--yes")
    assert clients_of_master(theirs) == before


def test_wrong_credentials_of_the_admin_are_told_by_their_settings(theirs: ServerAccess) -> None:
    """One line: who is not let in, and which settings to look at."""
    settings = {
        "url": theirs.base_url,
        "admin_client_id": theirs.identity["admin_id"].reveal(),
        "admin_client_secret": Secret("of another server"),
    }
    with pytest.raises(IdentityRefused, match=r"does not let .* in") as caught:
        external_access(settings, InstallationId("nobodyyy"))
    assert "keycloak.admin_client_secret" in caught.value.hint


def test_identities_whose_making_was_cut_short_are_completed(theirs: ServerAccess) -> None:
    """A kill between a client of ours and its roles leaves no guest that can do nothing."""
    settings = {
        "url": theirs.base_url,
        "admin_client_id": theirs.identity["admin_id"].reveal(),
        "admin_client_secret": theirs.identity["admin_secret"],
    }
    mine = InstallationId("cutshort")
    before = clients_of_master(theirs)
    external_access(settings, mine)
    with closing(admin_of(theirs)) as admin:
        for account in (maker_of(mine), looker_of(mine)):
            client = {"clientId": account.client_id}
            found = admin.get(URL_ADMIN_CLIENTS.format(**MASTER), params=client).json()
            entitle(admin, ServiceAccount(account.client_id), found[0]["id"])
            if account.master_roles:
                take_master_roles(admin, found[0]["id"])
    access = external_access(settings, mine)
    assert access is not None
    with closing(KeycloakPackage().connect(access, mine, {})) as provider:
        assert provider.master_orphans() == []
        assert provider.list_tenants() == []
    identity = access.identity
    maker = AdminConnection(
        access.base_url, identity["maker_id"].reveal(), identity["maker_secret"]
    )
    with closing(maker):
        maker.send("POST", URL_ADMIN_REALMS, json={"realm": "made"}, timeout=60)
        maker.send("DELETE", URL_ADMIN_REALM.format(**{"realm-name": "made"}), timeout=60)
    leave_external(settings, mine)
    assert clients_of_master(theirs) == before


def take_master_roles(admin: AdminConnection, client: str) -> None:
    """Take every role of master's own client from a client's service account."""
    user = admin.get(URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER.format(**MASTER, id=client)).json()["id"]
    master = {"clientId": MASTER_CLIENT}
    found = admin.get(URL_ADMIN_CLIENTS.format(**MASTER), params=master).json()
    path = URL_ADMIN_USER_CLIENT_ROLES.format(**MASTER, id=user, **{"client-id": found[0]["id"]})
    admin.send("DELETE", path, json=admin.get(path).json())
