"""How the provider tells its own realms from others, and what it makes of odd answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from warminfra.core.errors import OutcomeUnknown, ProviderRefused
from warminfra.core.ids import TenantId
from warminfra.core.models import ServerAccess, TenantRef
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template
from warminfra.testing.conformance import INSTALLATION, OTHER, plan_for
from warminfra_keycloak.keys import KeyPool
from warminfra_keycloak.provider import KeycloakProvider

TEMPLATE = Template("keycloak", "docs", ClientSpec())


class Server:
    """Realms by name, each with its internal id; answers as Keycloak does."""

    def __init__(self) -> None:
        self.realms: dict[str, str] = {}
        self.foreign: set[str] = set()
        self.roles: dict[str, str] = {}
        self.keeps_roles = False
        self.delete_answers = 204
        self.delete_works = True
        self.renamed_before_put = False
        self.calls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 60})
        self.calls.append(f"{request.method} {path}")
        if path.startswith("/admin/realms/master/"):
            return self._master(request, path.removeprefix("/admin/realms/master/"))
        if path == "/admin/realms":
            if request.method == "POST":
                return self._create(json.loads(request.content))
            mine = [{"id": i, "realm": n} for n, i in self.realms.items() if n not in self.foreign]
            return httpx.Response(200, json=mine) if mine else httpx.Response(403)
        if path.endswith("events"):
            return httpx.Response(204)
        return self._realm(request.method, path.split("/")[3])

    def _create(self, body: dict[str, str]) -> httpx.Response:
        self.realms[body["realm"]] = body["id"]
        self.roles[f"role-of-{body['realm']}"] = body["realm"]
        return httpx.Response(201)

    def _realm(self, method: str, name: str) -> httpx.Response:
        if name not in self.realms:
            return httpx.Response(404)
        if name in self.foreign:
            return httpx.Response(403)
        if method == "PUT" and self.renamed_before_put:
            self.realms["renamed"] = self.realms.pop(name)
            return httpx.Response(404)
        if method == "DELETE":
            if self.delete_works:
                del self.realms[name]
                if not self.keeps_roles:
                    self.roles.pop(f"role-of-{name}", None)
            return httpx.Response(self.delete_answers)
        return httpx.Response(200, json={"id": self.realms[name]})

    def _master(self, request: httpx.Request, rest: str) -> httpx.Response:
        if rest == "clients":
            realm = request.url.params["clientId"].removesuffix("-realm")
            found = [{"id": realm, "clientId": f"{realm}-realm"}] if realm in self.realms else []
            return httpx.Response(200, json=found)
        if rest.startswith("clients/"):
            role = f"role-of-{rest.split('/')[1]}"
            return httpx.Response(200, json=[{"id": role, "name": "view-realm"}])
        return httpx.Response(200 if rest.removeprefix("roles-by-id/") in self.roles else 404)

    def deleted(self) -> list[str]:
        return [
            call for call in self.calls if call.startswith("DELETE") and not call.endswith("events")
        ]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def provider(server: Server) -> Iterator[KeycloakProvider]:
    identity = {name: Secret(name) for name in ("maker_id", "maker_secret")}
    identity |= {name: Secret(name) for name in ("looker_id", "looker_secret")}
    access = ServerAccess("http://127.0.0.1:1", identity)
    made = KeycloakProvider(
        access, INSTALLATION, {}, keys=KeyPool(0), transport=httpx.MockTransport(server)
    )
    yield made
    made.close()


@pytest.fixture
def ref(provider: KeycloakProvider) -> TenantRef:
    plan = plan_for(TEMPLATE)
    provider.create_tenant(plan)
    return plan.ref


def test_credentials_die_before_the_realm(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """The realm is shut, which voids its tokens, and its events go, before it is deleted."""
    provider.destroy_tenant(ref)
    changes = [call for call in server.calls if not call.startswith("GET")][-4:]
    path = f"/admin/realms/{ref.name}"
    kept = [f"DELETE {path}/events", f"DELETE {path}/admin-events"]
    assert changes == [f"PUT {path}", *kept, f"DELETE {path}"]


def test_after_a_condemn_there_is_one_call_to_do(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Whatever may go on beside a create was done by the condemn, and deleted nothing."""
    provider.condemn(ref)
    assert server.deleted() == []
    server.calls.clear()
    provider.destroy_tenant(ref)
    assert server.calls == [f"DELETE /admin/realms/{ref.name}"]
    assert list(provider.verify_gone(ref)) == []


def test_a_condemn_is_good_for_one_delete(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """After a delete that failed everything is done anew."""
    provider.condemn(ref)
    server.delete_answers, server.delete_works = 500, False
    with pytest.raises(OutcomeUnknown):
        provider.destroy_tenant(ref)
    server.delete_answers, server.delete_works = 204, True
    server.calls.clear()
    provider.destroy_tenant(ref)
    assert f"PUT /admin/realms/{ref.name}" in server.calls
    assert list(provider.verify_gone(ref)) == []


def test_a_tenant_that_was_renamed_after_its_condemn_is_found(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """It is condemned and deleted under its new name."""
    provider.condemn(ref)
    server.realms["renamed"] = server.realms.pop(ref.name)
    provider.destroy_tenant(ref)
    assert server.realms == {}
    assert "PUT /admin/realms/renamed" in server.calls
    assert list(provider.verify_gone(ref)) == []


def test_a_tenant_that_was_renamed_in_its_condemn_is_not_condemned(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """A realm that was not there to be shut is shut by the destroy."""
    server.renamed_before_put = True
    provider.condemn(ref)
    server.renamed_before_put = False
    server.calls.clear()
    provider.destroy_tenant(ref)
    assert server.realms == {}
    assert "PUT /admin/realms/renamed" in server.calls


def test_a_realm_that_took_a_condemned_tenants_name_is_left_alone(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """The maker may not delete what it did not make, and says so."""
    provider.condemn(ref)
    server.realms[ref.name] = "somebody-elses"
    server.foreign.add(ref.name)
    for _ in range(2):
        with pytest.raises(ProviderRefused):
            provider.destroy_tenant(ref)
    assert server.realms == {ref.name: "somebody-elses"}


def test_what_a_condemn_has_seen_is_looked_for_although_the_realm_went_by_itself(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Its roles in master are known by then."""
    provider.condemn(ref)
    del server.realms[ref.name]
    provider.destroy_tenant(ref)
    assert any("role view-realm" in line for line in provider.verify_gone(ref))


def test_a_delete_that_fails_and_works_is_done(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Keycloak may answer 500 to a delete that worked: the provider looks before it complains."""
    server.delete_answers = 500
    provider.destroy_tenant(ref)
    assert list(provider.verify_gone(ref)) == []


def test_a_delete_that_fails_is_told(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """If the realm is still there after a 500, the outcome is unknown and the caller is told."""
    server.delete_answers, server.delete_works = 500, False
    with pytest.raises(OutcomeUnknown):
        provider.destroy_tenant(ref)
    assert provider.verify_gone(ref)


def test_a_renamed_tenant_is_found_by_its_id(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Whatever a realm is called by now, the one with the tenant's id is destroyed."""
    server.realms["renamed"] = server.realms.pop(ref.name)
    assert [found.ref for found in provider.list_tenants()] == [TenantRef(ref.id, "renamed")]
    assert provider.verify_gone(ref)
    provider.destroy_tenant(ref)
    assert server.deleted() == ["DELETE /admin/realms/renamed"]
    assert list(provider.verify_gone(ref)) == []


def test_a_realm_called_like_ours_is_refused(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """A realm of the right name with another id is left alone, and named."""
    server.realms[ref.name] = "somebody-elses"
    with pytest.raises(ProviderRefused, match="somebody-elses"):
        provider.destroy_tenant(ref)
    assert server.deleted() == []


def test_a_realm_that_we_may_not_read_is_refused(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Who may not read a realm's id does not delete it, nor call it gone."""
    server.foreign.add(ref.name)
    with pytest.raises(ProviderRefused):
        provider.destroy_tenant(ref)
    assert provider.verify_gone(ref)
    assert server.deleted() == []


@pytest.mark.parametrize("identifier", ["master", "0b0e5e8c-0000-4000-8000-000000000000", ""])
def test_an_id_that_is_no_tenants_is_refused(
    provider: KeycloakProvider, server: Server, identifier: str
) -> None:
    """`master` and foreign realms are refused before anything is sent."""
    with pytest.raises(ProviderRefused):
        provider.destroy_tenant(TenantRef(TenantId(identifier), "master"))
    assert server.calls == []


def test_master_is_refused_by_name(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """Even under one of our own ids nothing is done to `master`."""
    with pytest.raises(ProviderRefused):
        provider.destroy_tenant(TenantRef(ref.id, "master"))
    assert server.deleted() == []


def test_a_tenant_of_another_installation_is_not_made(provider: KeycloakProvider) -> None:
    """A plan with a foreign id is refused."""
    with pytest.raises(ProviderRefused):
        provider.create_tenant(plan_for(TEMPLATE, OTHER))


def test_only_whole_ids_of_ours_are_listed(provider: KeycloakProvider, server: Server) -> None:
    """Ids that merely look alike are nobody's tenants."""
    token = "a" * 26
    server.realms = {
        "one": f"{INSTALLATION}-{token}",
        "two": f"{OTHER}-{token}",
        "three": f"{INSTALLATION}-{token}x",
        "four": f"{INSTALLATION}",
        "five": f"x{INSTALLATION}-{token}",
    }
    assert [found.ref.name for found in provider.list_tenants()] == ["one"]


def test_a_maker_without_realms_lists_none(provider: KeycloakProvider) -> None:
    """Keycloak answers 403 to one who manages no realm: that is an empty list."""
    assert list(provider.list_tenants()) == []


def test_a_role_left_in_master_is_named(
    provider: KeycloakProvider, server: Server, ref: TenantRef
) -> None:
    """A realm whose role outlived it is not gone."""
    server.keeps_roles = True
    provider.destroy_tenant(ref)
    assert any("role view-realm" in line for line in provider.verify_gone(ref))
    server.roles.clear()
    assert list(provider.verify_gone(ref)) == []
