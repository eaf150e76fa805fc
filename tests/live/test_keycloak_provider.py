"""The provider against a real Keycloak."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest
from keycloak.urls_patterns import URL_ADMIN_REALM

from warminfra.core.errors import ProviderRefused
from warminfra.core.models import RunningInstance, TenantFacts, TenantPlan
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.testing.conformance import INSTALLATION, OTHER, ProviderConformance, plan_for
from warminfra_keycloak import package
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.provider import KeycloakProvider

pytestmark = pytest.mark.live

Make = Callable[[Template], TenantPlan]

CLIENT = ClientSpec(
    redirect_uris=("https://{domain}/*",), settings={"directAccessGrantsEnabled": True}
)
USERS = (UserSpec("alice", roles=("editor",)), UserSpec("robert"))


def template_of(*, admin: bool = False, realm: Mapping[str, Any] | None = None) -> Template:
    return package.template("docs", CLIENT, USERS, admin=admin, realm=realm, settings={})[0]


@pytest.fixture(scope="module")
def provider(running_instance: RunningInstance) -> Iterator[KeycloakProvider]:
    with closing(package.connect(running_instance.access, INSTALLATION, {})) as made:
        yield made


@pytest.fixture
def make(provider: KeycloakProvider) -> Iterator[Make]:
    made: list[TenantPlan] = []

    def create(template: Template) -> TenantPlan:
        made.append(plan_for(template))
        provider.create_tenant(made[-1])
        return made[-1]

    yield create
    for plan in made:
        provider.destroy_tenant(plan.ref)


class TestKeycloakProvider(ProviderConformance):
    """Every promise of a provider, kept by the real one."""

    @pytest.fixture
    def provider(self, provider: KeycloakProvider) -> KeycloakProvider:
        return provider

    @pytest.fixture
    def other_provider(self, running_instance: RunningInstance) -> Iterator[KeycloakProvider]:
        with closing(package.connect(running_instance.access, OTHER, {})) as made:
            yield made

    @pytest.fixture
    def template(self) -> Template:
        return template_of()

    def keys_of(self, facts: TenantFacts) -> frozenset[str]:
        return frozenset(key["n"] for key in fetch(facts.endpoints["jwks"])[1]["keys"])

    def answers(self, facts: TenantFacts) -> bool:
        status, found = fetch(facts.endpoints["discovery"])
        return status == 200 and found["issuer"] == facts.issuer


def test_a_leased_user_logs_in(running_instance: RunningInstance, make: Make) -> None:
    """With the lease's client and password a user gets a token, signed RS256, with its roles."""
    plan = make(template_of())
    status, answer = login(running_instance, plan)
    assert status == 200
    assert token_part(answer["access_token"], 0)["alg"] == "RS256"
    assert "editor" in token_part(answer["access_token"], 1)["realm_access"]["roles"]


def test_passwords_are_hashed_by_the_cheap_policy(
    running_instance: RunningInstance, make: Make
) -> None:
    """The policy holds for the users that come with the realm, not only for later ones."""
    plan = make(template_of())
    with closing(as_maker(running_instance)) as maker:
        users = maker.get(f"admin/realms/{plan.ref.name}/users").json()
        assert {user["username"] for user in users} == {"alice", "robert"}
        for user in users:
            path = f"admin/realms/{plan.ref.name}/users/{user['id']}/credentials"
            (credential,) = maker.get(path).json()
            data = json.loads(credential["credentialData"])
            assert (data["algorithm"], data["hashIterations"]) == ("pbkdf2-sha256", 1000)


def test_an_admin_manages_its_realm_and_cannot_leave_it(
    running_instance: RunningInstance, make: Make
) -> None:
    """The leased admin lists users and makes clients; its realm it neither renames nor ends."""
    mine, other = make(template_of(admin=True)), make(template_of())
    with closing(as_admin(running_instance, mine)) as admin:
        home = f"admin/realms/{mine.ref.name}"
        assert len(admin.get(f"{home}/users").json()) == 2
        admin.send("POST", f"{home}/clients", json={"clientId": "second"})
        for method, body in (("PUT", {"realm": "elsewhere"}), ("DELETE", None)):
            with pytest.raises(ProviderRefused):
                admin.send(method, home, json=body)
        with pytest.raises(ProviderRefused):
            admin.get(f"admin/realms/{other.ref.name}/users")


@contextmanager
def admin_token_dies(instance: RunningInstance, plan: TenantPlan) -> Iterator[None]:
    """The tenant's admin token is good before what is done here, and for nothing afterwards."""
    users = f"admin/realms/{plan.ref.name}/users"
    with closing(as_admin(instance, plan)) as admin:
        admin.get(users)
        yield
        with pytest.raises(ProviderRefused):
            admin.get(users)


def test_a_destroyed_tenants_credentials_are_dead(
    running_instance: RunningInstance, provider: KeycloakProvider, make: Make
) -> None:
    """Neither login nor the admin's token is good for anything afterwards."""
    plan = make(template_of(admin=True))
    with admin_token_dies(running_instance, plan):
        provider.destroy_tenant(plan.ref)
    assert login(running_instance, plan)[0] in (400, 404)


def test_a_condemned_tenants_credentials_are_dead(
    running_instance: RunningInstance, provider: KeycloakProvider, make: Make
) -> None:
    """While the realm is there still: neither login nor the admin's token is good for anything."""
    plan = make(template_of(admin=True))
    with admin_token_dies(running_instance, plan):
        provider.condemn(plan.ref)
    assert login(running_instance, plan)[0] in (400, 403, 404)
    assert provider.verify_gone(plan.ref)
    provider.destroy_tenant(plan.ref)
    assert list(provider.verify_gone(plan.ref)) == []


def test_a_renamed_realm_is_found_and_destroyed(
    running_instance: RunningInstance, provider: KeycloakProvider, make: Make
) -> None:
    """Renamed from outside, a tenant is still listed, destroyed and gone, traces included."""
    plan = make(template_of())
    other_name = f"was-{plan.ref.id}"
    with closing(as_maker(running_instance)) as maker:
        path = URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name})
        maker.send("PUT", path, json={"realm": other_name})
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []
        gone = URL_ADMIN_REALM.format(**{"realm-name": other_name})
        assert maker.get(gone, allow=(404,)).status_code == 404


def test_nothing_is_left_in_master(provider: KeycloakProvider, make: Make) -> None:
    """After a tenant's end its roles are parts of nothing in master."""
    before = list(provider.master_orphans())
    plan = make(template_of(admin=True))
    provider.destroy_tenant(plan.ref)
    assert list(provider.verify_gone(plan.ref)) == []
    assert list(provider.master_orphans()) == before


def test_an_export_of_keycloaks_own_works_as_it_is(
    running_instance: RunningInstance, make: Make
) -> None:
    """A realm exported by Keycloak becomes a template whose tenants let their users log in."""
    source = make(template_of())
    with closing(as_maker(running_instance)) as maker:
        export = maker.send(
            "POST",
            f"admin/realms/{source.ref.name}/partial-export",
            params={"exportClients": "true", "exportGroupsAndRoles": "true"},
        ).json()
    template = template_of(realm=export)
    assert source.ref.id not in template.to_json()
    assert source.material.client_secret not in template.to_json()
    copies = make(template), make(template)
    for copy in copies:
        assert login(running_instance, copy)[0] == 200


# ---------------------------------------------------------------- talking to the server


def as_maker(running: RunningInstance) -> AdminConnection:
    identity = running.access.identity
    return AdminConnection(
        running.access.base_url, identity["maker_id"].reveal(), identity["maker_secret"]
    )


def as_admin(running: RunningInstance, plan: TenantPlan) -> AdminConnection:
    return AdminConnection(
        running.access.base_url,
        plan.material.admin_client_id,
        Secret(plan.material.admin_client_secret),
        realm=plan.ref.name,
    )


def login(running: RunningInstance, plan: TenantPlan) -> tuple[int, Any]:
    user = plan.material.users[0]
    return fetch(
        f"{running.access.base_url}/realms/{plan.ref.name}/protocol/openid-connect/token",
        grant_type="password",
        client_id=plan.material.client_id,
        client_secret=plan.material.client_secret,
        username=user.username,
        password=user.password,
        scope="openid",
    )


def fetch(url: str, **form: str) -> tuple[int, Any]:
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(url, data, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def token_part(token: str, index: int) -> Any:
    part = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
