"""The body that makes a tenant."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from warminfra.core.errors import ConfigInvalid, Usage
from warminfra.core.models import TenantPlan
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.testing.conformance import plan_for
from warminfra_keycloak import package
from warminfra_keycloak.keys import SigningKey
from warminfra_keycloak.realm import FAST_POLICY, password_policy, personal_client, realm_body

KEY = SigningKey("private", "certificate")
CLIENT = ClientSpec(redirect_uris=("https://{domain}/*", "http://localhost/cb"))
USERS = (UserSpec("alice", roles=("editor",)), UserSpec("bob@corp.example"))


def template(**changes: Any) -> Template:
    options: dict[str, Any] = {"admin": False, "realm": None, "settings": {}, **changes}
    client = options.pop("client", CLIENT)
    return package.template("docs", client, USERS, **options)[0]


def body_of(plan: TenantPlan, policy: str = FAST_POLICY) -> dict[str, Any]:
    return realm_body(plan, KEY, policy)


def client_of(plan: TenantPlan, body: dict[str, Any]) -> dict[str, Any]:
    (found,) = [c for c in body["clients"] if c["clientId"] == plan.material.client_id]
    return dict(found)


def test_ids_are_ours() -> None:
    """The realm and the client carry the internal ids that were drawn for the lease."""
    plan = plan_for(template())
    body = body_of(plan)
    assert (body["id"], body["realm"]) == (plan.ref.id, plan.ref.name)
    assert len(body["id"]) <= 36
    assert client_of(plan, body)["id"] == plan.material.client_object


def test_the_realm_says_whose_it_is() -> None:
    """Installation, tenant, template and time of creation are attributes of the realm."""
    plan = plan_for(template())
    attributes = body_of(plan)["attributes"]
    assert attributes["warminfra.installation"] == plan.installation
    assert attributes["warminfra.tenant"] == plan.ref.id
    assert attributes["warminfra.template"] == plan.template.hash
    assert attributes["warminfra.created"].startswith(f"{plan.created_at:%Y-%m-%d}")


def test_rs256_is_the_only_asymmetric_key() -> None:
    """The imported RSA key signs with RS256; nothing makes the server generate another."""
    keys = body_of(plan_for(template()))["components"]["org.keycloak.keys.KeyProvider"]
    assert [key["providerId"] for key in keys] == ["rsa", "hmac-generated", "aes-generated"]
    assert keys[0]["config"]["algorithm"] == ["RS256"]
    assert keys[1]["config"]["algorithm"] == ["HS512"]


def test_a_login_meets_no_required_action() -> None:
    """Every leased user has e-mail, verified, and names; its password is not temporary."""
    plan = plan_for(template())
    users = {user["username"]: user for user in body_of(plan)["users"]}
    assert users.keys() == {"alice", "bob@corp.example"}
    for user in users.values():
        assert user["emailVerified"]
        assert user["email"]
        assert user["firstName"]
        assert user["lastName"]
        assert user["requiredActions"] == []
        assert user["credentials"][0]["temporary"] is False
    assert users["bob@corp.example"]["email"] == "bob@corp.example"


def test_roles_of_users_exist() -> None:
    """A role that only a user names is declared; each user has the realm's default role too."""
    plan = plan_for(template())
    body = body_of(plan)
    assert {"name": "editor"} in body["roles"]["realm"]
    alice = next(user for user in body["users"] if user["username"] == "alice")
    assert alice["realmRoles"] == ["editor", f"default-roles-{plan.ref.name}"]


def test_redirects_wait_for_the_domain() -> None:
    """A pooled tenant redirects to no placeholder; personalised, to the run's domain."""
    plan = plan_for(template())
    assert client_of(plan, body_of(plan))["redirectUris"] == ["http://localhost/cb"]
    personal = personal_client(plan.template.client, plan.material, "docs.example.test:8443")
    assert personal["redirectUris"] == ["https://docs.example.test:8443/*", "http://localhost/cb"]


@pytest.mark.parametrize(
    "domain", ["*", "a.test/*", "a test", "-x", "x@y.test", "a.test:port", "a\n"]
)
def test_a_domain_that_would_widen_redirects_is_refused(domain: str) -> None:
    """What is no host name does not get into a redirect URI."""
    plan = plan_for(template())
    with pytest.raises(Usage):
        personal_client(plan.template.client, plan.material, domain)


def test_nothing_of_ours_grants_anything() -> None:
    """Without `admin` there is no service account and no management role in the body."""
    body = body_of(plan_for(template()))
    assert "realm-management" not in json.dumps(body)
    assert not any(client["serviceAccountsEnabled"] for client in body["clients"])


def test_an_admin_manages_users_and_clients_only() -> None:
    """The admin client cannot manage the realm itself, its keys or its events."""
    plan = plan_for(template(admin=True))
    body = body_of(plan)
    (account,) = [user for user in body["users"] if "serviceAccountClientId" in user]
    assert account["username"] == f"service-account-{plan.material.admin_client_id}"
    granted = account["clientRoles"]["realm-management"]
    assert {role for role in granted if role.startswith("manage-")} == {
        "manage-users",
        "manage-clients",
    }
    assert not {"realm-admin", "impersonation", "create-client"} & set(granted)


def test_client_settings_are_the_recipes() -> None:
    """Settings with a dot are attributes, others fields; what is ours cannot be overridden."""
    client = replace(
        CLIENT,
        settings={
            "user.info.response.signature.alg": "RS256",
            "directAccessGrantsEnabled": True,
            "attributes": {"pkce.code.challenge.method": "S256", "x.on": True},
        },
    )
    plan = plan_for(template(client=client))
    made = client_of(plan, body_of(plan))
    assert made["directAccessGrantsEnabled"] is True
    assert made["attributes"] == {
        "post.logout.redirect.uris": "+",
        "user.info.response.signature.alg": "RS256",
        "pkce.code.challenge.method": "S256",
        "x.on": "true",
    }
    assert made["secret"] == plan.material.client_secret


def test_the_recipes_password_policy_wins() -> None:
    """A realm file's policy is kept; else the setting decides; `stock` leaves it to Keycloak."""
    own = plan_for(template(realm={"passwordPolicy": "hashIterations(7)"}))
    assert body_of(own)["passwordPolicy"] == "hashIterations(7)"
    plain = plan_for(template())
    assert body_of(plain)["passwordPolicy"] == FAST_POLICY
    assert "passwordPolicy" not in body_of(plain, password_policy({"password_policy": "stock"}))
    assert password_policy({"password_policy": "length(8)"}) == "length(8)"
    with pytest.raises(ConfigInvalid):
        password_policy({"password_policy": 5})


def test_making_a_body_leaves_the_template_as_it_was() -> None:
    """Two tenants of one template do not meet in its base document."""
    shared = template(realm={"realm": "r", "clients": [{"clientId": "docs"}], "attributes": {}})
    before = shared.hash
    first, second = plan_for(shared), plan_for(shared)
    body_of(first)
    assert shared.hash == before
    assert first.ref.id not in json.dumps(body_of(second))
