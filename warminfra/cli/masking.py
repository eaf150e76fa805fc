"""Which values of a lease document are secrets, and the document without them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warminfra.core.secret import MASK

if TYPE_CHECKING:
    from warminfra.core.models import JsonObject

_SECRET_KEYS = frozenset({"handle", "secret", "client_secret", "password"})


def secrets_of(document: JsonObject) -> list[str]:
    """Return the secret values, longest first, each once."""
    return sorted(set(_walk(document)), key=lambda value: (-len(value), value))


def masked(document: JsonObject) -> JsonObject:
    """Return the document with each secret masked, wherever it stands."""
    secrets = secrets_of(document)

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret, MASK)
            return value
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value

    cleaned: JsonObject = clean(document)
    return cleaned


def _walk(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _SECRET_KEYS and isinstance(item, str) and item:
                yield item
            else:
                yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)
