"""Turns a recipe's patterns and a lease document into environment variables or stack secrets.

A variable with a field that this lease lacks (no domain, no CA of ours, …) is left out: half a
value misleads an app more than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warminfra.core.errors import Internal
from warminfra.recipes.patterns import SOMETIMES, fields_of, fill, is_user_field


def render_env(patterns: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, str]:
    """Return name → value for a `warminfra.lease/v1` document, `domain` among its fields.

    Raises `Internal` if the document lacks what every lease has: the reader let such patterns in.
    """
    rendered = {}
    for name, pattern in patterns.items():
        values = {field: _look_up(document, field) for field in fields_of(pattern)}
        missing = [field for field, value in values.items() if value is None]
        for field in missing:
            if field not in SOMETIMES and not is_user_field(field):
                raise Internal(f"{name}: the lease document has no field {field!r}")
        texts = {field: value for field, value in values.items() if value is not None}
        if not missing:
            rendered[name] = fill(pattern, texts.__getitem__)
    return rendered


def _look_up(document: Any, field: str) -> str | None:
    """Return the text at a dotted path; None if it is absent or empty."""
    found = document
    for part in field.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdigit():
            found = found[int(part)] if int(part) < len(found) else None
        else:
            return None
    return found if isinstance(found, str) and found else None
