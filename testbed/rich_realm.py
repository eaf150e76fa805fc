"""A realm with a bit of everything, made on a real server and exported by it in both ways."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from testbed.admin_server import KeepsAdmin, admin_of
from warminfra.core.ids import InstallationId, InstanceId
from warminfra.instances.local import LocalLauncher

NAME = "rich"
APP = "shop"
PEOPLE = ("amy", "bob")
_INSTANCE = InstanceId("kc-exports")


def exports(folder: Path, cache: Path) -> tuple[Path, Path]:
    """Return the files of a partial export (without users) and of the server's own command."""
    partial, full = folder / "partial.json", folder / "full.json"
    state = folder / "state"
    distribution = KeepsAdmin({})
    launcher = LocalLauncher(
        distribution,
        installation=InstallationId("exported"),
        state_dir=state,
        cache_dir=cache,
        memory_limit=1536 << 20,
    )
    try:
        launcher.prepare(lambda _: None)
        with closing(admin_of(launcher.start(_INSTANCE, lambda _: None).access)) as admin:
            admin.send("POST", "admin/realms", json=realm(), timeout=60.0)
            _join_organization(admin, PEOPLE[0])
            answer = admin.send(
                *("POST", f"admin/realms/{NAME}/partial-export"),
                params={"exportClients": "true", "exportGroupsAndRoles": "true"},
            )
            partial.write_bytes(answer.content)
        launcher.stop(_INSTANCE, discard=False)
        data = state / "instances" / _INSTANCE / "data"
        _export(distribution, distribution.obtain(cache, lambda _: None), data, full)
    finally:
        launcher.stop(_INSTANCE, discard=True)
    return partial, full


def _join_organization(admin: Any, username: str) -> None:
    home = f"admin/realms/{NAME}"
    (user,) = admin.get(f"{home}/users", params={"username": username}).json()
    (organization,) = admin.get(f"{home}/organizations").json()
    admin.send("POST", f"{home}/organizations/{organization['id']}/members", json=user["id"])


def _export(distribution: KeepsAdmin, home: Path, data: Path, file: Path) -> None:
    argv, environment = distribution.command(home, data, {"http": 1, "management": 1}, None)
    database = next(part for part in argv if part.startswith("--db-url="))
    command = [
        *argv[: argv.index("start")],
        *("export", "--optimized", f"--file={file}", f"--realm={NAME}", database),
    ]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode:
        raise RuntimeError(f"kc export: {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
    assert json.loads(file.read_bytes())["realm"] == NAME


def realm() -> dict[str, Any]:
    """Return the body that makes it."""
    return {
        "realm": NAME,
        "enabled": True,
        "registrationAllowed": True,
        "organizationsEnabled": True,
        "internationalizationEnabled": True,
        "supportedLocales": ["en", "id"],
        "defaultLocale": "en",
        "localizationTexts": {"id": {"loginAccountTitle": "Masuk"}, "en": {"password": "Word"}},
        "accessTokenLifespan": 123,
        "attributes": {"frontendUrl": "http://127.0.0.1:1/", "acr.loa.map": '{"gold": 2}'},
        "smtpServer": {"host": "mail.test", "from": "a@mail.test", "user": "u", "password": "hush"},
        "roles": {
            "realm": [
                {"name": "editor", "attributes": {"level": ["2", "1"]}},
                {"name": "chief", "composite": True, "composites": _chief()},
            ],
            "client": {
                APP: [{"name": "buyer"}],
                "account": [{"name": "auditor", "description": "ours"}],
            },
        },
        "defaultGroups": ["/staff"],
        "groups": [
            {
                "name": "staff",
                "attributes": {"floor": ["3"]},
                "realmRoles": ["editor"],
                "subGroups": [{"name": "night", "clientRoles": {APP: ["buyer"]}}],
            }
        ],
        "clientScopes": [
            {
                "name": "shop-data",
                "protocol": "openid-connect",
                "attributes": {"include.in.token.scope": "true"},
                "protocolMappers": [
                    _mapper("floor", "oidc-usermodel-attribute-mapper", user_attribute="floor"),
                    _mapper("roles of shop", "oidc-usermodel-client-role-mapper"),
                    _mapper("audience", "oidc-audience-mapper"),
                    _mapper("always", "oidc-hardcoded-role-mapper", role=f"{APP}.buyer"),
                ],
            }
        ],
        "clients": _clients(),
        "authenticationFlows": _flows(),
        "authenticatorConfig": [{"alias": "redirect", "config": {"defaultProvider": "partner"}}],
        "identityProviders": [
            {
                "alias": "partner",
                "providerId": "oidc",
                "enabled": True,
                "firstBrokerLoginFlowAlias": "first broker login",
                "config": {
                    "clientId": "us",
                    "clientSecret": "partner-secret-of-the-source",
                    "authorizationUrl": "https://partner.test/auth",
                    "tokenUrl": "https://partner.test/token",
                },
            }
        ],
        "identityProviderMappers": [
            {
                "name": "buyers",
                "identityProviderAlias": "partner",
                "identityProviderMapper": "oidc-hardcoded-role-idp-mapper",
                "config": {"role": f"{APP}.buyer", "syncMode": "INHERIT"},
            }
        ],
        "components": {
            "org.keycloak.storage.UserStorageProvider": [
                {"name": "directory", "providerId": "ldap", "config": _ldap()}
            ]
        },
        "clientProfiles": {
            "profiles": [
                {
                    "name": "strict",
                    "executors": [
                        {
                            "executor": "consent-required",
                            "configuration": {"auto-configure": False},
                        },
                        {"executor": "pkce-enforcer", "configuration": {"auto-configure": False}},
                    ],
                }
            ]
        },
        "clientPolicies": {
            "policies": [
                {
                    "name": "outsiders",
                    "enabled": True,
                    "conditions": [
                        {
                            "condition": "client-roles",
                            "configuration": {"roles": ["nobody-has-it"]},
                        }
                    ],
                    "profiles": ["strict"],
                }
            ]
        },
        "organizations": [
            {
                "name": "acme",
                "alias": "acme",
                "enabled": True,
                "attributes": {"plan": ["gold"]},
                "domains": [{"name": "acme.test", "verified": True}],
            }
        ],
        "users": [_person(name) for name in PEOPLE],
    }


def _chief() -> dict[str, Any]:
    return {"realm": ["editor"], "client": {APP: ["buyer"], "account": ["auditor"]}}


def _mapper(name: str, kind: str, **config: str) -> dict[str, Any]:
    base = {
        "claim.name": name.replace(" ", "_"),
        "access.token.claim": "true",
        "usermodel.clientRoleMapping.clientId": APP,
        "included.client.audience": APP,
    }
    told = {key.replace("_", "."): value for key, value in config.items()}
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {**base, **told},
    }


def _person(name: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@acme.test",
        "emailVerified": True,
        "firstName": name.capitalize(),
        "lastName": "Smith",
        "attributes": {"floor": ["3", "1"], "locale": ["en"]},
        "credentials": [{"type": "password", "value": f"{name}-of-the-source-realm"}],
        "realmRoles": ["chief"],
        "clientRoles": {APP: ["buyer"], "account": ["auditor"]},
        "groups": ["/staff/night"],
    }


def _clients() -> Sequence[dict[str, Any]]:
    policies = [
        ("buyers", "role", {"roles": [{"id": f"{APP}/buyer", "required": True}]}),
        ("this client", "client", {"clients": [APP]}),
        ("amy alone", "user", {"users": ["amy"]}),
        ("night", "group", {"groups": [{"path": "/staff/night", "extendChildren": False}]}),
        ("may read", "scope", {"resources": ["orders"], "scopes": ["read"],
                               "applyPolicies": ["buyers", "night"]}),
    ]  # fmt: skip
    return (
        {
            "clientId": APP,
            "secret": "shop-secret-of-the-source",
            "redirectUris": ["https://shop.test/*"],
            "serviceAccountsEnabled": True,
            "authorizationServicesEnabled": True,
            "authenticationFlowBindingOverrides": {
                "browser": "0f0f0f0f-0000-4000-8000-00000000f10e"
            },
            "defaultClientScopes": ["shop-data", "basic", "profile", "email", "roles"],
            "attributes": {"user.info.response.signature.alg": "RS256"},
            "protocolMappers": [_mapper("own", "oidc-usermodel-client-role-mapper")],
            "authorizationSettings": {
                "policyEnforcementMode": "ENFORCING",
                "scopes": [{"name": "read"}],
                "resources": [
                    {"name": "orders", "uris": ["/orders"], "scopes": [{"name": "read"}]}
                ],
                "policies": [
                    {
                        "name": name,
                        "type": kind,
                        "logic": "POSITIVE",
                        "decisionStrategy": "UNANIMOUS",
                        "config": {key: json.dumps(value) for key, value in config.items()},
                    }
                    for name, kind, config in policies
                ],
            },
        },
        {
            "clientId": "worker",
            "secret": "worker-secret-of-the-source",
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
        },
        {
            "clientId": "urn:saml:app",
            "protocol": "saml",
            "redirectUris": ["https://saml.test/*"],
            "attributes": {"saml.assertion.signature": "true"},
        },
    )


def _flows() -> Sequence[dict[str, Any]]:
    """A flow of the app's own: the password form, and a step that is only for whoever set it up."""
    return (
        {
            "id": "0f0f0f0f-0000-4000-8000-00000000f10e",
            "alias": "shop browser",
            "providerId": "basic-flow",
            "topLevel": True,
            "builtIn": False,
            "authenticationExecutions": [
                {"authenticator": "auth-cookie", "requirement": "ALTERNATIVE", "priority": 10},
                {
                    "authenticator": "identity-provider-redirector",
                    "authenticatorConfig": "redirect",
                    "requirement": "DISABLED",
                    "priority": 20,
                },
                {
                    "authenticatorFlow": True,
                    "flowAlias": "shop forms",
                    "requirement": "ALTERNATIVE",
                    "priority": 30,
                },
            ],
        },
        {
            "alias": "shop forms",
            "providerId": "basic-flow",
            "topLevel": False,
            "builtIn": False,
            "authenticationExecutions": [
                {
                    "authenticator": "auth-username-password-form",
                    "requirement": "REQUIRED",
                    "priority": 10,
                }
            ],
        },
    )


def _ldap() -> dict[str, list[str]]:
    """A directory that is switched off: no test has one."""
    return {
        "enabled": ["false"],
        "connectionUrl": ["ldap://127.0.0.1:9"],
        "vendor": ["other"],
        "authType": ["simple"],
        "bindDn": ["cn=reader"],
        "bindCredential": ["ldap-secret-of-the-source"],
        "usersDn": ["ou=people,dc=acme,dc=test"],
        "editMode": ["READ_ONLY"],
        "usernameLDAPAttribute": ["uid"],
        "rdnLDAPAttribute": ["uid"],
        "uuidLDAPAttribute": ["entryUUID"],
        "userObjectClasses": ["inetOrgPerson"],
    }
