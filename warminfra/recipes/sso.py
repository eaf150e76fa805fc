"""Reads `[sso.client]`, `[[sso.users]]`, `[sso.env]` and `[sso.secrets]` of a recipe's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from warminfra.config.words import nearest
from warminfra.core.template import DEFAULT_CLIENT_ID, DOMAIN, ClientSpec, UserSpec
from warminfra.recipes.faults import Faults
from warminfra.recipes.patterns import fields_of, is_user_field, lease_fields

DEFAULT_REDIRECTS = ("https://{domain}/*", "http://{domain}/*")
_OURS = {
    "id": "it is drawn for every lease",
    "secret": "it is drawn for every lease",
    "clientId": "use sso.client.id",
    "redirectUris": "use sso.client.redirect_uris",
}
"""Client settings that no recipe sets under the provider's name for them."""

_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s#*]+\*?")
_AT_DOMAIN = re.compile(r"[a-z][a-z0-9+.-]*://([A-Za-z0-9-]+\.)*\{domain\}(:\d+)?(/.*)?")
_USER_KEYS = ("username", "email", "first_name", "last_name", "roles")


def read_client(faults: Faults, sso: Mapping[str, Any]) -> ClientSpec:
    """Return the app's client."""
    key = ("sso", "client")
    table = faults.take_table(sso, key)
    faults.known_only(table, key, ("id", "realm_client", "redirect_uris", "settings"))
    pattern = faults.take_text(
        table,
        (*key, "id"),
        DEFAULT_CLIENT_ID,
        pattern=r"[^\s\0]{1,200}",
        expected="a text without spaces, of at most 200 characters",
    )
    _fields(faults, (*key, "id"), pattern, frozenset({"recipe", "lease"}))
    uris = faults.take_texts(table, (*key, "redirect_uris"))
    for index, uri in enumerate(table.get("redirect_uris", []) if uris else []):
        _redirect(faults, (*key, "redirect_uris", index), uri)
    settings = faults.take_table(table, (*key, "settings"))
    for name in settings:
        if name in _OURS:
            faults.add((*key, "settings", name), f"not set here; {_OURS[name]}")
    faults.take_table(settings, (*key, "settings", "attributes"))
    _plain(faults, (*key, "settings"), settings)
    return ClientSpec(
        id_pattern=pattern,
        redirect_uris=uris if "redirect_uris" in table else DEFAULT_REDIRECTS,
        settings=settings,
        realm_client=faults.take_text(table, (*key, "realm_client")),
    )


def read_users(faults: Faults, sso: Mapping[str, Any]) -> tuple[UserSpec, ...]:
    """Return the users. E-mail and names that are not given are left to the provider."""
    users: list[UserSpec] = []
    seen: set[tuple[str, str]] = set()
    for index, table in enumerate(faults.take_tables(sso, ("sso", "users"))):
        key = ("sso", "users", index)
        faults.known_only(table, key, _USER_KEYS)
        if "username" not in table:
            faults.add((*key, "username"), "missing", 'username = "alice"')
        name = faults.take_text(
            table,
            (*key, "username"),
            pattern=r"[A-Za-z0-9._@+-]{3,255}",
            expected="3 to 255 letters, digits and . _ @ + -",
        )
        email = faults.take_text(
            table,
            (*key, "email"),
            name if "@" in name else "",
            pattern=r"[^\s@]+@[^\s@]+",
            expected="an address such as alice@example.test",
        )
        for field, value in (("username", name), ("email", email)):
            if value and (field, value.lower()) in seen:
                faults.add((*key, field), f"{value!r} is another user's too", "one of its own")
            seen.add((field, value.lower()))
        users.append(
            UserSpec(
                username=name,
                email=email,
                first_name=faults.take_text(table, (*key, "first_name")),
                last_name=faults.take_text(table, (*key, "last_name")),
                roles=faults.take_texts(table, (*key, "roles")),
            )
        )
    return tuple(users)


def read_patterns(
    faults: Faults, sso: Mapping[str, Any], name: str, users: int | None, *, admin: bool
) -> dict[str, str]:
    """Return `[sso.env]` or `[sso.secrets]`: name → pattern over the lease's fields."""
    key = ("sso", name)
    allowed = lease_fields(users, admin=admin)
    found = {}
    for variable, pattern in faults.take_table(sso, key).items():
        place = (*key, variable)
        if name == "env":
            fits, form = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable), "letters, digits and _"
        else:
            fits, form = re.fullmatch(r"[a-z0-9][a-z0-9_-]*", variable), "lower-case letters, …"
        if not fits:
            faults.add(place, "no name for it", form)
        elif variable.startswith("WARMINFRA_"):
            faults.add(place, "names that begin with WARMINFRA_ are ours", "another name")
        elif not isinstance(pattern, str) or "\0" in pattern:
            faults.add(place, f"{pattern!r} does not fit", 'a text such as "{issuer}"')
        else:
            _fields(faults, place, pattern, allowed, any_user=users is None)
            found[variable] = pattern
    return found


def _fields(
    faults: Faults,
    key: tuple[str | int, ...],
    pattern: str,
    allowed: frozenset[str],
    *,
    any_user: bool = False,
) -> None:
    try:
        used = list(fields_of(pattern))
    except ValueError:
        faults.add(key, f"{pattern!r} has a brace without its partner", "{field}, or {{ for a {")
        return
    for field in used:
        if field in allowed or (any_user and is_user_field(field)):
            continue
        if field == "handle" or field.startswith("handle."):
            faults.add(key, "{handle} ends the lease; no app may have it", "another field")
        elif field.startswith("admin.") and not any(f.startswith("admin.") for f in allowed):
            faults.add(key, f"{{{field}}} needs an admin", "admin = true in [sso]")
        else:
            faults.add(key, f"{{{field}}} is no field here; {nearest(field, allowed)}")


def _redirect(faults: Faults, key: tuple[str | int, ...], uri: Any) -> None:
    if not isinstance(uri, str) or not uri.strip():
        return  # noted already
    form = '"https://{domain}/path" with at most one * at its end'
    if not _URI.fullmatch(uri):
        faults.add(key, f"{uri!r} does not fit", form)
        return
    _fields(faults, key, uri, frozenset({"domain"}))
    if DOMAIN in uri and not _AT_DOMAIN.fullmatch(uri):
        faults.add(key, f"{uri!r} has {{domain}} elsewhere than at the end of its host", form)


def _plain(faults: Faults, key: tuple[str | int, ...], value: Any) -> None:
    """Note what JSON cannot say (dates, times, infinity)."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _plain(faults, (*key, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _plain(faults, (*key, index), item)
    elif not isinstance(value, str | int) and not (
        isinstance(value, float) and abs(value) < float("inf")
    ):
        faults.add(key, f"{value!r} does not fit", "a text, a number, true, false, or a list")
