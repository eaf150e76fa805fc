"""Interpolation as the engine's `stack` commands do it: no nesting, `$$` is a dollar."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"\$(?:(?P<escaped>\$)"
    r"|(?P<named>[_a-zA-Z][_a-zA-Z0-9]*)"
    r"|\{(?P<braced>[_a-zA-Z][_a-zA-Z0-9]*)(?:(?P<how>:?[-?])(?P<word>[^}]*))?\}"
    r"|(?P<invalid>))"
)


class Uninterpolable(Exception):
    """A text that cannot be interpolated; the message says why, without values."""


class Unset(Uninterpolable):
    """A variable that the text requires is not set."""


def interpolate(text: str, environment: Mapping[str, str], unset: set[str]) -> str:
    """Return `text` with its variables; names that are not set are added to `unset`.

    Raises `Uninterpolable` at a form that the engine does not know, `Unset` at `${V:?…}`.
    """

    def one(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["invalid"] is not None:
            raise Uninterpolable("a $ that begins no variable; write $$ for a $")
        name = match["named"] or match["braced"]
        how, word = match["how"] or "", match["word"] or ""
        value = environment.get(name)
        given = bool(value) if how.startswith(":") else value is not None
        if how.endswith("-"):
            return (value or "") if given else word
        if how.endswith("?") and not given:
            raise Unset(f"{name} is not set: {word or 'it is required'}")
        if value is None:
            unset.add(name)
        return value or ""

    return _TOKEN.sub(one, text)


def names_in(text: str) -> tuple[str, ...]:
    """Return the variables that `text` uses."""
    return tuple(
        match["named"] or match["braced"]
        for match in _TOKEN.finditer(text)
        if match["named"] or match["braced"]
    )
