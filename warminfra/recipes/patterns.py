"""Patterns: text with `{field}` in it, and which fields there are.

A field is a dotted path into the lease document: `{issuer}`, `{endpoints.token}`,
`{users.0.password}`. `{{` and `}}` stand for braces. What a field brings in is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

ENDPOINTS = (
    "discovery",
    "authorization",
    "token",
    "userinfo",
    "jwks",
    "end_session",
    "introspection",
)
USER_FIELDS = ("username", "password", "email", "first_name", "last_name")
ADMIN_FIELDS = ("client_id", "client_secret", "url")

ALWAYS = frozenset(
    {"id", "recipe", "provider", "tenant", "mode", "expires_at", "issuer"}
    | {f"endpoints.{name}" for name in ENDPOINTS}
    | {"client.id", "client.secret"}
)
"""Fields that every lease has."""

SOMETIMES = frozenset({"domain", "run", "slot", "tls.ca_file", "tls.ca_pem", "tls.bundle_file"})
"""Fields that a lease may lack; a variable made of one that is lacking is left out."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_USER = re.compile(r"users\.(0|[1-9][0-9]*)\.(\w+)")


def fields_of(pattern: str) -> Iterator[str]:
    """Yield the fields of `pattern`. Raises `ValueError` at a brace without its partner."""
    for match in _TOKEN.finditer(pattern):
        if match.group() in ("{", "}"):
            raise ValueError(pattern)
        if match.group(1) is not None:
            yield match.group(1)


def fill(pattern: str, value_of: Callable[[str], str]) -> str:
    """Return `pattern` with each field replaced, in one pass."""

    def one(match: re.Match[str]) -> str:
        if match.group(1) is not None:
            return value_of(match.group(1))
        return match.group()[0]

    return _TOKEN.sub(one, pattern)


def lease_fields(users: int | None, *, admin: bool) -> frozenset[str]:
    """Return the fields of a lease with so many users. None: not known here, one stands for all."""
    known = set(ALWAYS | SOMETIMES)
    for index in range(1 if users is None else users):
        known |= {f"users.{index}.{name}" for name in USER_FIELDS}
    if admin:
        known |= {f"admin.{name}" for name in ADMIN_FIELDS}
    return frozenset(known)


def is_user_field(field: str) -> bool:
    """Say whether `field` has the form of a user's field, of whatever number."""
    match = _USER.fullmatch(field)
    return match is not None and match.group(2) in USER_FIELDS
