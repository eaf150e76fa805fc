"""Parts that only richer exports have: policies, flows of clients, people, master, words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warminfra.core.errors import RecipeInvalid
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.testing.conformance import plan_for
from warminfra_keycloak import package
from warminfra_keycloak.keys import make_key
from warminfra_keycloak.normalise import MOST_USERS
from warminfra_keycloak.realm import personal_client, realm_body

CLIENT = ClientSpec(redirect_uris=("https://{domain}/*",))


def normalise(
    realm: dict[str, Any], client: ClientSpec = CLIENT, *users: UserSpec
) -> tuple[Template, list[str]]:
    made, lines = package.template("docs", client, users, admin=False, realm=realm, settings={})
    return made, list(lines)


def body_of(template: Template) -> dict[str, Any]:
    """Return the body that makes a tenant of it, and the id of its client."""
    plan = plan_for(template)
    return {**realm_body(plan, make_key(), ""), "_client": plan.material.client_id}


def policy(name: str, kind: str, **config: Any) -> dict[str, Any]:
    told = {key: json.dumps(value) for key, value in config.items()}
    return {"name": name, "type": kind, "config": told}


def test_the_server_is_told_which_version_exported() -> None:
    """By it the server migrates what an older one wrote: scopes, say, that it now needs."""
    assert normalise({"realm": "r", "keycloakVersion": "20.0.1"})[0].base == {
        "keycloakVersion": "20.0.1"
    }


def test_policies_name_the_client_of_each_lease() -> None:
    """References inside the texts of authorization services follow the client, and only them."""
    settings = {
        "policies": [
            policy("role", "role", roles=[{"id": "docs/writer", "required": True}, {"id": "user"}]),
            policy("client", "client", clients=["docs", "other"]),
            policy("account", "user", users=["service-account-docs", "alice"]),
        ]
    }
    clients = [{"clientId": "docs", "authorizationSettings": settings}, {"clientId": "other"}]
    users = [{"username": "alice"}]
    body = body_of(normalise({"realm": "r", "clients": clients, "users": users})[0])
    (mine,) = (c for c in body["clients"] if c["clientId"] == body["_client"])
    config = {p["name"]: p["config"] for p in mine["authorizationSettings"]["policies"]}
    assert json.loads(config["role"]["roles"]) == [
        {"id": f"{body['_client']}/writer", "required": True},
        {"id": "user"},
    ]
    account = f"service-account-{body['_client']}"
    assert set(json.loads(config["client"]["clients"])) == {"other", body["_client"]}
    assert set(json.loads(config["account"]["users"])) == {"alice", account}


def test_a_client_keeps_its_own_flow() -> None:
    """A binding by id becomes one by name in the template, and an id of its own in each tenant."""
    flows = [
        {"id": "f1", "alias": "browser", "builtIn": True},
        {"id": "f2", "alias": "with otp", "builtIn": False},
    ]
    bound = {"browser": "f2", "direct_grant": "gone"}
    clients = [{"clientId": "docs", "authenticationFlowBindingOverrides": bound}]
    template, lines = normalise({"realm": "r", "authenticationFlows": flows, "clients": clients})
    assert "bindings of clients to built-in flows" in lines
    ids = []
    for body in (body_of(template), body_of(template)):
        (flow,) = (f for f in body["authenticationFlows"] if f["alias"] == "with otp")
        (mine,) = (c for c in body["clients"] if c["clientId"] == body["_client"])
        assert mine["authenticationFlowBindingOverrides"] == {"browser": flow["id"]}
        ids.append(flow["id"])
    assert ids[0] != ids[1]


def test_roles_that_people_added_to_a_built_in_client_stay() -> None:
    """What the server makes itself goes; what was added to it, and is granted, does not."""
    account = [
        {"name": "view-profile"},
        {"name": "of-a-later-version", "description": "${role_of-a-later-version}"},
        {"name": "auditor", "description": "ours"},
    ]
    template = normalise({"realm": "r", "roles": {"client": {"account": account}}})[0]
    assert template.base["roles"]["client"] == {
        "account": [{"description": "ours", "name": "auditor"}]
    }


def test_an_export_of_master_becomes_an_ordinary_realm() -> None:
    """What stands in master for the server's realms is taken out, with every grant of it."""
    admin = {"name": "admin", "composites": {"client": {"acme-realm": ["manage-realm"]}}}
    template, lines = normalise(
        {
            "realm": "master",
            "clients": [{"clientId": "master-realm"}, {"clientId": "acme-realm"}],
            "roles": {"realm": [admin], "client": {"master-realm": [{"name": "view-realm"}]}},
            "users": [{"username": "root", "clientRoles": {"acme-realm": ["view-realm"]}}],
        }
    )
    assert "clients of master that stand for realms: 2" in lines
    assert "-realm" not in template.to_json()
    assert template.base["roles"]["realm"] == [{"composites": {"client": {}}, "name": "admin"}]


def test_words_are_no_secrets_and_languages_no_ids() -> None:
    """Texts for people stay whole, Indonesian and the label of a password field included."""
    texts = {"id": {"loginTitle": "Masuk"}, "en": {"password": "Pass phrase"}}
    assert normalise({"realm": "r", "localizationTexts": texts})[0].base == {
        "localizationTexts": texts
    }


def test_order_that_says_something_stays() -> None:
    """The first value of an attribute, and the sequence of client policies."""
    user = {"username": "alice", "attributes": {"team": ["z", "a"]}}
    policies = {"policies": [{"name": "second"}, {"name": "first"}]}
    base = normalise({"realm": "r", "users": [user], "clientPolicies": policies})[0].base
    assert base["users"][0]["attributes"] == {"team": ["z", "a"]}
    assert [p["name"] for p in base["clientPolicies"]["policies"]] == ["second", "first"]


def test_people_of_the_file_get_a_password_if_the_recipe_names_none() -> None:
    """Enabled ones, with their names and roles; with `[[sso.users]]` only those named there."""
    users = [
        {"username": "zoe", "enabled": True, "email": "z@acme.test", "realmRoles": ["editor"]},
        {"username": "gone", "enabled": False},
        {"username": "service-account-x", "enabled": True, "serviceAccountClientId": "x"},
        {"username": "amy", "enabled": True},
    ]
    realm = {"realm": "r", "users": users, "clients": [{"clientId": "x"}, {"clientId": "docs"}]}
    leased = normalise(realm)[0].users
    assert [(user.username, user.email, user.roles) for user in leased] == [
        ("amy", "amy@example.test", ()),
        ("zoe", "z@acme.test", ("editor",)),
    ]
    assert [user.username for user in normalise(realm, CLIENT, UserSpec("zoe"))[0].users] == ["zoe"]


def test_a_crowd_is_cut_and_told() -> None:
    """No more than the first fifty, by name, get a password with each lease."""
    users = [{"username": f"u{number:03}", "enabled": True} for number in range(MOST_USERS + 3)]
    template, lines = normalise({"realm": "r", "users": users})
    assert [user.username for user in template.users] == [f"u{n:03}" for n in range(MOST_USERS)]
    assert any(line.startswith("passwords of 3 users") for line in lines)


@pytest.mark.parametrize("wanted", ["app", "api"])
def test_the_recipe_says_which_client_is_the_apps(wanted: str) -> None:
    """Its id is that of each lease all the same; nothing makes it a fixed one."""
    realm = {"realm": "r", "clients": [{"clientId": "app"}, {"clientId": "api"}]}
    assert any("(api, app)" in line for line in normalise(realm)[1])
    template = normalise(realm, ClientSpec(realm_client=wanted))[0]
    (other,) = {"app", "api"} - {wanted}
    assert {c["clientId"] for c in template.base["clients"]} == {"{client}", other}
    assert "client.fixed-id" not in template.features


def test_a_change_of_the_domain_leaves_authorization_services_on() -> None:
    """The server ends them, policies and all, at a change of the client that does not name them."""
    clients = [{"clientId": "docs", "authorizationServicesEnabled": True}]
    template = normalise({"realm": "r", "clients": clients})[0]
    material = plan_for(template).material
    assert personal_client(template.client, material, "a.test")["authorizationServicesEnabled"]
    plain = normalise({"realm": "r", "clients": [{"clientId": "docs"}]})[0]
    assert "authorizationServicesEnabled" not in personal_client(plain.client, material, "a.test")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"roles": {"realm": [{"name": "a", "composites": {"realm": ["b"]}}]}},
         "roles: a: is made of 'b', which is no role of the file"),
        ({"roles": {"realm": [{"name": "a", "composites": {"client": {"x": ["b"]}}}]}},
         "roles: a: is made of roles of 'x', which is no client of the file"),
        ({"roles": {"client": {"docs": [{"name": "a", "composites": {"client": {"docs": ["b"]}}}]}},
          "clients": [{"clientId": "docs"}]},
         "roles: a: is made of 'b', which is no role of client '{client}'"),
        ({"users": [{"username": "amy", "clientRoles": {"x": ["b"]}}]},
         "users: amy: has roles of 'x', which is no client of the file"),
        ({"groups": [{"name": "g", "subGroups": [{"name": "h", "clientRoles": {"x": ["b"]}}]}]},
         "groups: h: has roles of 'x', which is no client of the file"),
        ({"users": [{"username": "amy", "groups": ["/g/h"]}], "groups": [{"name": "g"}]},
         "users: amy: is in '/g/h', which is no group of the file"),
        ({"browserFlow": "mine"}, "browserFlow: 'mine' is no flow of the file"),
        ({"clients": [{"clientId": "docs", "authorizationSettings": {
            "policies": [policy("p", "user", users=["amy"])]}}]},
         "clients: the app's: policy 'p': user 'amy' is not in the file; name it as [[sso.users]]"),
        ({"applications": [{"name": "old"}]},
         "applications: no present Keycloak reads it; export from a newer one"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_file_is_told(part: dict[str, Any], told: str) -> None:
    """The server would fail on it with "unknown error"."""
    with pytest.raises(RecipeInvalid) as caught:
        normalise({"realm": "r", **part})
    assert caught.value.problems == (f"realm_file: {told}",)


def test_references_that_hold_are_none() -> None:
    """Groups below groups, roles of the server's own clients, people whom the recipe names."""
    named = {"policies": [policy("p", "user", users=["Amy", "service-account-docs"])]}
    made_of = {"realm": ["offline_access"], "client": {"account": ["view-profile"]}}
    realm = {
        "realm": "r",
        "roles": {"realm": [{"name": "a", "composites": made_of}]},
        "groups": [{"name": "g", "subGroups": [{"name": "h"}]}],
        "users": [{"username": "bob", "groups": ["/g/h"], "clientRoles": {"broker": ["x"]}}],
        "clients": [{"clientId": "docs", "authorizationSettings": named}],
    }  # fmt: skip
    assert normalise(realm, CLIENT, UserSpec("amy"))[0].base["groups"]
