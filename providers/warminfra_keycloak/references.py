"""What in a realm document goes by a name that each lease has of its own, and its placeholders.

Policies of authorization services keep their references as JSON inside texts. A template has them
as plain lists, so that names in them are found and order that means nothing is none; the body of a
tenant has them as texts again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

Json = dict[str, Any]

CLIENT = "{client}"
"""Stands for the app client's id in a template's base."""
CLIENT_ACCOUNT = "service-account-{client}"
"""Stands for the user name of its service account."""
DEFAULT_ROLE = "default-roles-{realm}"
"""Stands for the realm's default role in a template's base."""
_WITH_ROLE = re.compile(rf"({re.escape(CLIENT)})([/.].+)", re.DOTALL)
_NAMED_BY = (
    "client",
    "serviceAccountClientId",
    "included.client.audience",
    "usermodel.clientRoleMapping.clientId",
)
_ROLE_KEYS = ("role", "new.role.name")
"""Mappers' settings in which a client's role is `<client>.<role>`."""


def rename(node: Any, names: Mapping[str, str]) -> None:
    """Put real names for placeholders, as keys and as values, wherever they are in the document.

    A name may have a role behind it, as `<client>/<role>` and `<client>.<role>`.
    """

    def named(text: str) -> str:
        if text in names:
            return names[text]
        found = _WITH_ROLE.fullmatch(text)
        return names.get(found[1], found[1]) + found[2] if found else text

    if isinstance(node, dict):
        for key in list(node):
            value = node.pop(key)
            node[names.get(key, key)] = named(value) if isinstance(value, str) else value
            rename(value, names)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if isinstance(value, str):
                node[index] = named(value)
            else:
                rename(value, names)


def rename_client(node: Any, old: str) -> None:
    """Put the placeholder where the document names the client, and nowhere else."""
    if isinstance(node, list):
        for item in node:
            rename_client(item, old)
    if not isinstance(node, dict):
        return
    for key in _NAMED_BY:
        if node.get(key) == old:
            node[key] = CLIENT
    for key in _ROLE_KEYS:
        if isinstance(node.get(key), str) and node[key].startswith(f"{old}."):
            node[key] = CLIENT + node[key][len(old) :]
    if node.get("username") == f"service-account-{old}":
        node["username"] = CLIENT_ACCOUNT
    for key in ("clientRoles", "client"):
        owners = node.get(key)
        if isinstance(owners, dict) and old in owners:
            owners[CLIENT] = owners.pop(old)
    for config in _policies(node):
        _rename_in_policy(config, old)
    for value in node.values():
        rename_client(value, old)


def _rename_in_policy(config: Json, old: str) -> None:
    account = f"service-account-{old}"
    for key, names in (("clients", {old: CLIENT}), ("users", {account: CLIENT_ACCOUNT})):
        if isinstance(config.get(key), list):
            config[key] = [names.get(name, name) for name in config[key]]
    roles = config.get("roles")
    for role in roles if isinstance(roles, list) else ():
        if isinstance(role, dict) and str(role.get("id", "")).startswith(f"{old}/"):
            role["id"] = CLIENT + role["id"][len(old) :]


def groups(realm: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """Yield each group's path, without the first slash, and the group behind those above it."""
    waiting: list[tuple[str, tuple[Mapping[str, Any], ...]]] = [
        ("", (group,)) for group in realm.get("groups", [])
    ]
    while waiting:
        above, line = waiting.pop()
        path = f"{above}{line[-1]['name']}"
        yield path, line
        waiting += [(f"{path}/", (*line, below)) for below in line[-1].get("subGroups", [])]


def decode_policies(realm: Json) -> None:
    """Make lists of the texts that hold lists, in every policy of every client."""
    for client in realm.get("clients", []):
        for config in _policies(client):
            for key, text in config.items():
                if isinstance(text, str) and text.startswith("["):
                    with suppress(ValueError):
                        config[key] = sorted(json.loads(text), key=json.dumps)


def encode_policies(realm: Json) -> None:
    """Make texts of them again."""
    for client in realm.get("clients", []):
        for config in _policies(client):
            for key, value in config.items():
                if isinstance(value, list):
                    config[key] = json.dumps(value)


def _policies(client: Any) -> Iterator[Json]:
    """Yield the settings of each policy of a client."""
    settings = client.get("authorizationSettings") if isinstance(client, dict) else None
    for policy in (settings or {}).get("policies", []):
        if isinstance(policy.get("config"), dict):
            yield policy["config"]
