"""The one body that makes a whole tenant, and the one that personalises it.

Pure functions from plan and key to JSON. Invariants: the realm's and the client's internal ids are
ours; every secret, password and key in the body was drawn for this tenant; nothing of ours in it
grants anything, but for the admin client that the recipe asked for.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from warminfra.core.errors import ConfigInvalid, Usage
from warminfra.core.models import LeasedUser, TenantFacts, TenantMaterial, TenantPlan
from warminfra.core.template import DOMAIN, ClientSpec, UserSpec
from warminfra_keycloak.keys import SigningKey
from warminfra_keycloak.references import (
    CLIENT,
    CLIENT_ACCOUNT,
    DEFAULT_ROLE,
    Json,
    encode_policies,
    rename,
)

KEY_PROVIDER = "org.keycloak.keys.KeyProvider"

FAST_POLICY = "hashAlgorithm(pbkdf2-sha256) and hashIterations(1000)"
"""Leased passwords have 160 random bits: a slow hash would guard nothing and costs 40 ms each."""

ADMIN_ROLES = (
    "manage-clients",
    "manage-users",
    "query-clients",
    "query-groups",
    "query-realms",
    "query-users",
    "view-authorization",
    "view-clients",
    "view-events",
    "view-identity-providers",
    "view-realm",
    "view-users",
)
"""What a tenant's admin client may do in its own realm. Not: its keys, its name, its end."""

_DOMAIN = re.compile(
    r"(?i)(?:[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]+\])(?::\d{1,5})?"
)


def realm_body(plan: TenantPlan, key: SigningKey, password_policy: str) -> Json:
    """Return the body of `POST /admin/realms` that makes the tenant complete.

    `password_policy` is the policy text for realms whose recipe brings none; "" for Keycloak's own.
    """
    material, template = plan.material, plan.template
    body: Json = copy.deepcopy(dict(template.base))
    default_role = DEFAULT_ROLE.replace("{realm}", plan.ref.name)
    names = {
        CLIENT: material.client_id,
        CLIENT_ACCOUNT: CLIENT_ACCOUNT.replace("{client}", material.client_id),
        DEFAULT_ROLE: default_role,
    }
    rename(body, names)
    body |= {"id": plan.ref.id, "realm": plan.ref.name, "enabled": True}
    body["attributes"] = {
        **body.get("attributes", {}),
        "warminfra.installation": plan.installation,
        "warminfra.tenant": plan.ref.id,
        "warminfra.template": template.hash,
        "warminfra.created": plan.created_at.isoformat(timespec="seconds"),
    }
    if password_policy:
        body.setdefault("passwordPolicy", password_policy)
    body["components"] = {**body.get("components", {}), KEY_PROVIDER: _keys(key)}

    clients = [c for c in body.get("clients", []) if c.get("clientId") != material.client_id]
    base_client: Json = next(
        (c for c in body.get("clients", []) if c.get("clientId") == material.client_id), {}
    )
    clients.append(_client(base_client, template.client, material))
    encode_policies({"clients": clients})
    _bind_flows(clients, body.get("authenticationFlows", []), plan.ref.id)
    users = _users(body.get("users", []), material.users, default_role)
    if template.admin:
        clients.append(_admin_client(material))
        users.append(_admin_user(material))
    body["clients"], body["users"] = clients, users
    _declare_roles(body, (role for user in material.users for role in user.roles))
    return body


def personal_client(client: ClientSpec, material: TenantMaterial, domain: str) -> Json:
    """Return the body of the client's PUT that makes `domain` its home.

    Raises `Usage` if the domain is none: a `*` or `/` in it would widen the redirects.
    """
    if domain and not _DOMAIN.fullmatch(domain):
        raise Usage(f"not a domain: {domain!r}", hint="give a host name, as in docs.example.org")
    return {
        **client.repeated,
        "id": material.client_object,
        "clientId": material.client_id,
        "redirectUris": redirect_uris(client, domain),
    }


def redirect_uris(client: ClientSpec, domain: str = "") -> list[str]:
    """Return the client's redirect URIs; without a domain, those that need none."""
    return [
        uri.replace(DOMAIN, domain) for uri in client.redirect_uris if domain or DOMAIN not in uri
    ]


def facts(base_url: str, name: str, *, admin: bool) -> TenantFacts:
    """Return what a holder is told of the realm; it follows from the server's URL and the name."""
    issuer = f"{base_url}/realms/{name}"
    oidc = f"{issuer}/protocol/openid-connect"
    return TenantFacts(
        issuer=issuer,
        endpoints={
            "discovery": f"{issuer}/.well-known/openid-configuration",
            "authorization": f"{oidc}/auth",
            "token": f"{oidc}/token",
            "userinfo": f"{oidc}/userinfo",
            "jwks": f"{oidc}/certs",
            "end_session": f"{oidc}/logout",
            "introspection": f"{oidc}/token/introspect",
        },
        admin_url=f"{base_url}/admin/realms/{name}" if admin else "",
    )


def with_defaults(user: UserSpec) -> UserSpec:
    """Return the user with e-mail and names: a login without them stops at VERIFY_PROFILE."""
    local = user.username.partition("@")[0]
    return UserSpec(
        username=user.username,
        email=user.email or (user.username if "@" in user.username else f"{local}@example.test"),
        first_name=user.first_name or local[:1].upper() + local[1:],
        last_name=user.last_name or "Example",
        roles=user.roles,
    )


def password_policy(settings: Mapping[str, Any]) -> str:
    """Return the policy text that the setting `password_policy` stands for."""
    chosen = settings.get("password_policy", "fast")
    if not isinstance(chosen, str):
        raise ConfigInvalid(
            f"keycloak.password_policy is {chosen!r}", hint='give "fast", "stock" or a policy text'
        )
    return {"fast": FAST_POLICY, "stock": ""}.get(chosen, chosen)


# ---------------------------------------------------------------- parts of the body


def _keys(key: SigningKey) -> list[Json]:
    """Return the realm's key providers; with any given, Keycloak generates none of its own.

    No `rsa-enc`: it takes another RSA generation and serves encrypted request objects alone.
    """
    priority = ["100"]
    return [
        {
            "name": "rsa",
            "providerId": "rsa",
            "config": {
                "privateKey": [key.private_pem],
                "certificate": [key.certificate_pem],
                "algorithm": ["RS256"],
                "active": ["true"],
                "enabled": ["true"],
                "priority": priority,
            },
        },
        {
            "name": "hmac-generated",
            "providerId": "hmac-generated",
            "config": {"algorithm": ["HS512"], "priority": priority},
        },
        {"name": "aes-generated", "providerId": "aes-generated", "config": {"priority": priority}},
    ]


def _client(base: Mapping[str, Any], spec: ClientSpec, material: TenantMaterial) -> Json:
    """Return the app's client: the realm file's, then the recipe's settings, then what is ours."""
    client: Json = {
        "protocol": "openid-connect",
        "publicClient": False,
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "webOrigins": ["+"],
        **base,
    }
    attributes = {"post.logout.redirect.uris": "+", **base.get("attributes", {})}
    for name, value in spec.settings.items():
        if name == "attributes":
            attributes |= value
        elif "." in name:
            attributes[name] = value
        else:
            client[name] = value
    return client | {
        "id": material.client_object,
        "clientId": material.client_id,
        "secret": material.client_secret,
        "enabled": True,
        "redirectUris": redirect_uris(spec),
        "attributes": {name: _text(value) for name, value in attributes.items()},
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _admin_client(material: TenantMaterial) -> Json:
    return {
        "clientId": material.admin_client_id,
        "secret": material.admin_client_secret,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
    }


def _admin_user(material: TenantMaterial) -> Json:
    return {
        "username": f"service-account-{material.admin_client_id}",
        "enabled": True,
        "serviceAccountClientId": material.admin_client_id,
        "clientRoles": {"realm-management": list(ADMIN_ROLES)},
    }


def _users(base: Sequence[Json], leased: Sequence[LeasedUser], default_role: str) -> list[Json]:
    """Return the realm file's users, and those of the lease with password and roles."""
    known = {user["username"].lower(): user for user in base}
    made = [_user(known.pop(one.username.lower(), {}), one, default_role) for one in leased]
    return [*known.values(), *made]


def _user(base: Mapping[str, Any], leased: LeasedUser, default_role: str) -> Json:
    named = with_defaults(
        UserSpec(leased.username, leased.email, leased.first_name, leased.last_name)
    )
    # An import gives the default role to nobody; without it a user is no ordinary one.
    roles = [*base.get("realmRoles", []), *leased.roles, default_role]
    return {
        **base,
        "username": leased.username,
        "enabled": True,
        "email": named.email,
        "emailVerified": True,
        "firstName": named.first_name,
        "lastName": named.last_name,
        "requiredActions": [],
        "credentials": [{"type": "password", "value": leased.password, "temporary": False}],
        "realmRoles": list(dict.fromkeys(roles)),
    }


def _bind_flows(clients: Iterable[Json], flows: Iterable[Json], tenant: str) -> None:
    """Bind clients to the flows that they name; the server takes an id, so each tenant has one."""
    by_alias = {flow["alias"]: flow for flow in flows}
    for client in clients:
        bound = client.get("authenticationFlowBindingOverrides", {})
        for use, alias in bound.items():
            identifier = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant} {alias}"))
            by_alias[alias]["id"] = bound[use] = identifier


def _declare_roles(body: Json, names: Iterable[str]) -> None:
    """Add the realm roles that users have and the template does not declare."""
    roles = body.setdefault("roles", {})
    realm_roles = roles.setdefault("realm", [])
    declared = {role["name"] for role in realm_roles}
    realm_roles.extend({"name": name} for name in dict.fromkeys(names) if name not in declared)
