"""Finds plain-text credentials in a recipe, and keeps them out of everything that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from warminfra.core.secret import MASK

_NAME = re.compile(
    r"(?i)(passw(or)?d|passphrase|secret|token|api_?key|private_?key|credential|basicauth\.users"
    r"|pass$|pwd$|_pw$|_dsn$)"
)
_HARMLESS = re.compile(
    r"(?i)(_version|_file|_path|_length|_url|_endpoint|_name|_username|_enabled?|_ttl|_expir\w*)$"
)
_IN_URL = re.compile(r"(?<=://)([^\s/@:]*):([^\s/@]+)(?=@)")
_WORDS = frozenset(
    {"", "true", "false", "yes", "no", "on", "off", "none", "null", "0", "1", "v1", "default"}
)
_SHORTEST = 4


def is_credential(name: str, value: str) -> bool:
    """Say whether `value` under `name` looks like a credential in plain text."""
    if value.startswith(("/run/secrets/", "/var/run/secrets/")) or value.lower() in _WORDS:
        return False
    if _IN_URL.search(value):
        return True
    return bool(_NAME.search(name)) and not _HARMLESS.search(name)


def masked(name: str, value: str) -> str:
    """Return `value`, or what may be shown of it."""
    if not is_credential(name, value):
        return value
    hidden = _IN_URL.sub(rf"\1:{MASK}", value)
    return hidden if hidden != value else MASK


class Redactor:
    """Replaces the credentials of an environment wherever they stand in a text."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {
            value
            for name, value in environment.items()
            if is_credential(name, value) and len(value) >= _SHORTEST
        }
        found |= {password for _, password in _passwords(environment.values())}
        self._hidden = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._hidden:
            text = text.replace(value, MASK)
        return _IN_URL.sub(rf"\1:{MASK}", text)


def _passwords(values: Iterable[str]) -> list[tuple[str, str]]:
    found = [pair for value in values for pair in _IN_URL.findall(value)]
    return [(user, password) for user, password in found if len(password) >= _SHORTEST]
