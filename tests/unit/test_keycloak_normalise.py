"""A realm export as it is, made into a template."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from warminfra.core.errors import RecipeInvalid
from warminfra.core.template import ClientSpec, Template, UserSpec, template_from_json
from warminfra_keycloak import package

CLIENT = ClientSpec(redirect_uris=("https://{domain}/*",))

EXPORT: dict[str, Any] = {
    "id": "0000-1111",
    "realm": "acme",
    "enabled": True,
    "keycloakVersion": "26.0.0",
    "accessTokenLifespan": 300,
    "attributes": {"frontendUrl": "https://sso.acme.test", "acr": "x"},
    "browserFlow": "browser",
    "defaultRole": {"id": "r0", "name": "default-roles-acme", "containerId": "0000-1111"},
    "roles": {
        "realm": [
            {
                "id": "r0",
                "name": "default-roles-acme",
                "composite": True,
                "composites": {
                    "realm": ["offline_access"],
                    "client": {"account": ["view-profile"]},
                },
                "containerId": "0000-1111",
            },
            {"id": "r1", "name": "editor", "containerId": "0000-1111"},
        ],
        "client": {"account": [{"id": "r2", "name": "view-profile"}], "docs": [{"name": "writer"}]},
    },
    "clients": [
        {"id": "c1", "clientId": "account", "secret": "**********"},
        {"id": "c2", "clientId": "realm-management"},
        {
            "id": "c3",
            "clientId": "docs",
            "secret": "hunter2hunter2",
            "redirectUris": ["https://old.acme.test/*"],
            "rootUrl": "https://old.acme.test",
            "attributes": {
                "client.secret.creation.time": "1700000000",
                "user.info.response.signature.alg": "RS256",
            },
            "protocolMappers": [
                {"id": "m1", "name": "sub", "config": {"id.token.claim": "true", "id": "kept"}}
            ],
        },
    ],
    "components": {
        "org.keycloak.keys.KeyProvider": [
            {"id": "k1", "providerId": "rsa", "config": {"privateKey": ["MIIEpAIBAAK"]}}
        ],
        "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy": [{"id": "p1"}],
    },
    "authenticationFlows": [{"id": "f1", "alias": "browser", "builtIn": True}],
    "authenticatorConfig": [
        {"alias": "captcha", "config": {"secret.key": "6LcSecret", "api.key": "AIzaSecret"}}
    ],
    "users": [
        {
            "id": "u1",
            "username": "alice",
            "email": "alice@acme.test",
            "credentials": [{"type": "password", "secretData": '{"value":"c2VjcmV0"}'}],
            "realmRoles": ["default-roles-acme", "editor"],
            "clientRoles": {"docs": ["writer"]},
        }
    ],
}


def normalise(
    realm: dict[str, Any] | None, client: ClientSpec = CLIENT, *users: UserSpec
) -> tuple[Template, list[str]]:
    made, lines = package.template("docs", client, users, admin=False, realm=realm, settings={})
    return made, list(lines)


def test_no_id_key_or_secret_survives() -> None:
    """Nothing of the exported realm's identity is in the template."""
    text = normalise(EXPORT)[0].to_json()
    for gone in (
        *("0000-1111", "acme.test/", "hunter2", "MIIEpAIBAAK", "c2VjcmV0", "**********"),
        *("6LcSecret", "AIzaSecret"),
        *("realm-management", '"r1"', '"m1"', '"u1"', "1700000000", "default-roles-acme"),
    ):
        assert gone not in text


def test_what_an_app_relies_on_is_kept() -> None:
    """Settings, mappers, roles, users and their attributes stay as they were."""
    base = normalise(EXPORT)[0].base
    (client,) = base["clients"]
    assert base["accessTokenLifespan"] == 300
    assert client["attributes"] == {"user.info.response.signature.alg": "RS256"}
    assert client["protocolMappers"][0]["config"] == {"id.token.claim": "true", "id": "kept"}
    assert [role["name"] for role in base["roles"]["realm"]] == ["default-roles-{realm}", "editor"]
    assert base["users"][0]["realmRoles"] == ["default-roles-{realm}", "editor"]


def test_the_files_client_becomes_the_leases() -> None:
    """The app's client, and every role and grant of it, go under the id of each lease."""
    base = normalise(EXPORT)[0].base
    assert base["clients"][0]["clientId"] == "{client}"
    assert base["roles"]["client"] == {"{client}": [{"name": "writer"}]}
    assert base["users"][0]["clientRoles"] == {"{client}": ["writer"]}


def test_each_thing_taken_out_is_told() -> None:
    """One line for each kind, in words."""
    lines = normalise(EXPORT)[1]
    assert "built-in clients: 2" in lines
    assert "signing and encryption keys" in lines
    assert any(line.startswith("client docs is taken for the app's") for line in lines)
    assert len(lines) == len(set(lines))


def test_an_ordinary_export_has_no_feature() -> None:
    """What Keycloak puts into every export opens nothing."""
    assert normalise(EXPORT)[0].features == frozenset()


def test_order_and_ids_do_not_change_the_hash() -> None:
    """A second export of the same realm gives the same template."""
    other = json.loads(json.dumps(EXPORT).replace("0000-1111", "9999-2222").replace('"r1"', '"r9"'))
    rng = random.Random(7)
    other["roles"]["realm"].reverse()
    rng.shuffle(other["clients"])
    other["users"][0]["realmRoles"].reverse()
    assert normalise(other)[0].hash == normalise(EXPORT)[0].hash


def test_a_template_survives_the_ledger() -> None:
    """Written as JSON and read back it is the same, hash included."""
    made = normalise(EXPORT)[0]
    assert template_from_json(made.to_json()).hash == made.hash


def test_the_input_is_left_alone() -> None:
    """Normalising does not write into the caller's document."""
    before = copy.deepcopy(EXPORT)
    normalise(EXPORT)
    assert before == EXPORT


@pytest.mark.parametrize(
    ("addition", "feature"),
    [
        ({"identityProviders": [{"alias": "g"}]}, "brokers"),
        ({"smtpServer": {"host": "mail.test", "password": "x"}}, "mail"),
        ({"authenticationFlows": [{"alias": "mine", "builtIn": False}]}, "flows"),
        ({"browserFlow": "direct grant"}, "flows"),
        ({"components": {"org.keycloak.storage.UserStorageProvider": [{"name": "ldap"}]}},
         "components.UserStorageProvider"),
        ({"clients": [{"clientId": "docs", "clientAuthenticatorType": "client-jwt"}]},
         "jwt-client-auth"),
        ({"clients": [{"clientId": "docs"}, {"clientId": "other"}]}, "clients"),
        ({"clients": [{"clientId": "docs", "serviceAccountsEnabled": True}]}, "service-accounts"),
        ({"clients": [{"clientId": "docs", "attributes": {"jwks.url": "https://x.test/jwks"}}]},
         "client.jwks.url"),
        ({"users": [{"username": "root",
                     "clientRoles": {"realm-management": ["realm-admin"]}}]}, "admin-roles"),
        ({"eventsListeners": ["jboss-logging", "email"]}, "realm.eventsListeners"),
        ({"organizationsEnabled": True}, "realm.organizationsEnabled"),
        ({"somethingNew": {"a": 1}}, "realm.somethingNew"),
    ],
)  # fmt: skip
def test_what_may_open_a_channel_is_a_feature(addition: dict[str, Any], feature: str) -> None:
    """Brokers, mail, flows, other clients, admins, and any key that is not known, count."""
    assert feature in normalise({**EXPORT, **addition})[0].features


def test_jwt_authentication_by_setting_counts_too() -> None:
    """The recipe's own client settings are looked at like the file's."""
    client = ClientSpec(settings={"clientAuthenticatorType": "client-jwt"})
    assert "jwt-client-auth" in normalise(None, client)[0].features


def test_users_without_names_get_them() -> None:
    """E-mail and names are filled in, from the realm file where it knows them."""
    users = normalise(EXPORT, CLIENT, UserSpec("alice"), UserSpec("robert"))[0].users
    assert [user.email for user in users] == ["alice@acme.test", "robert@example.test"]
    assert all(user.first_name and user.last_name for user in users)


def test_all_problems_are_told_at_once() -> None:
    """One error names every fault of settings and realm file."""
    with pytest.raises(RecipeInvalid) as caught:
        normalise(
            {
                "clients": [{"name": "nameless"}],
                "users": "alice",
                "roles": {"realm": [3]},
                "passwordPolicy": "length(64) and upperCase(1)",
            },
            ClientSpec(settings={"secret": "mine"}),
        )
    assert len(caught.value.problems) == 6
