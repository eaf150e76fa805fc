"""New holders inside a tenant that lives: copies of its client and users, with other secrets.

The copy of a client has the same settings as the lease's, so that it opens what that one opens.
"""

from __future__ import annotations

from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM_ROLES_ROLE_BY_NAME,
    URL_ADMIN_USER,
    URL_ADMIN_USER_REALM_ROLES,
    URL_ADMIN_USERS,
)

from warminfra.core.entropy import SystemEntropy
from warminfra.core.models import JsonObject
from warminfra_keycloak.connection import AdminConnection

_OF_ONE_CLIENT = frozenset(
    {"id", "clientId", "secret", "registrationAccessToken", "protocolMappers"}
)
"""What a copy of a client does not take over; mappers carry ids of their own."""


def fresh(
    admin: AdminConnection, entropy: SystemEntropy, realm: str, lease: JsonObject
) -> JsonObject:
    """Make the copies; return the lease's document with them instead of its own."""
    at = {"realm-name": realm}
    mark = entropy.token(8)
    clients = admin.get(
        URL_ADMIN_CLIENTS.format(**at), params={"clientId": lease["client"]["id"]}
    ).json()
    (model,) = clients
    client_id, secret = f"{lease['client']['id']}-{mark}", entropy.token(32)
    copied = {name: value for name, value in model.items() if name not in _OF_ONE_CLIENT}
    mappers = [
        {name: value for name, value in mapper.items() if name != "id"}
        for mapper in model.get("protocolMappers", [])
    ]
    body = {**copied, "clientId": client_id, "secret": secret, "protocolMappers": mappers}
    client = _made(admin, URL_ADMIN_CLIENTS.format(**at), body)
    users = [_user(admin, entropy, realm, user, mark) for user in lease["users"]]
    return {
        **lease,
        "client": {"id": client_id, "secret": secret},
        "users": [user for user, _ in users],
        "audit": {"client": client, "user": users[0][1] if users else "00000000"},
    }


def _user(
    admin: AdminConnection, entropy: SystemEntropy, realm: str, model: JsonObject, mark: str
) -> tuple[JsonObject, str]:
    at = {"realm-name": realm}
    user = {
        **model,
        "username": f"{model['username']}-{mark}",
        "email": f"{mark}-{model['email']}",
        "password": entropy.token(32),
    }
    body = {
        "username": user["username"],
        "email": user["email"],
        "firstName": user["first_name"],
        "lastName": user["last_name"],
        "emailVerified": True,
        "enabled": True,
        "credentials": [{"type": "password", "value": user["password"]}],
    }
    made = _made(admin, URL_ADMIN_USERS.format(**at), body)
    path = URL_ADMIN_USER.format(**at, id=made)
    stored = admin.get(path).json()
    # Where the e-mail address is the name, it is not the one that was asked for.
    user["username"] = stored["username"]
    if stored.get("requiredActions"):  # what the realm wants of everybody at the first login
        admin.send("PUT", path, json=stored | {"requiredActions": []})
    if user["roles"]:
        roles = [_role(admin, realm, name) for name in user["roles"]]
        path = URL_ADMIN_USER_REALM_ROLES.format(**at, id=made)
        admin.send("POST", path, json=roles)
    return user, made


def _role(admin: AdminConnection, realm: str, name: str) -> Any:
    at = {"realm-name": realm, "role-name": name}
    return admin.get(URL_ADMIN_REALM_ROLES_ROLE_BY_NAME.format(**at)).json()


def _made(admin: AdminConnection, path: str, body: JsonObject) -> str:
    """Create an object; return its internal id."""
    answer = admin.send("POST", path, json=body)
    return str(answer.headers["location"]).rpartition("/")[2]
