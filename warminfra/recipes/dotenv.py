"""Reads an app's `.env` and a recipe's `abra.sh`: variables in order, with line and comment.

As abra reads them: a later line may use an earlier variable (`COMPOSE_FILE="$COMPOSE_FILE:…"`),
a comment behind a value may hold hints on a secret. Values are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from warminfra.recipes.model import Place, Remark

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LINE = re.compile(rf"\s*(?:export\s+)?({_NAME})\s*(?:=|:\s)\s*(.*)")
_REFERENCE = re.compile(rf"\\\$|\$\{{({_NAME})\}}|\$({_NAME})")
_EXPORT = re.compile(rf"\s*(?:export\s+)?({_NAME})=(.*)")


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. Its repr shows no value."""

    name: str
    value: str
    place: Place
    comment: str = ""

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {self.place})"


class Variables(dict[str, Variable]):
    """Variables by name; the last line wins."""

    def values_by_name(self) -> dict[str, str]:
        return {name: variable.value for name, variable in self.items()}

    def __repr__(self) -> str:
        return f"Variables({', '.join(self)})"


def read_env(text: str, file: str, before: Mapping[str, str]) -> tuple[Variables, list[Remark]]:
    """Return the variables of a `.env`. `before`: those that its lines may use too."""
    found = Variables()
    remarks: list[Remark] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        place = Place(file, number)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            remarks.append(Remark(place, "is no NAME=value, and is passed over"))
            continue
        value, comment, quote = _value(match[2], lines)
        known = {**before, **found.values_by_name()}
        if quote != "'":
            value = _REFERENCE.sub(
                lambda used, known=known: (  # type: ignore[misc]
                    "$" if used[0] == "\\$" else known.get(used[1] or used[2], "")
                ),
                value,
            )
        found[match[1]] = Variable(match[1], value, place, comment)
    return found, remarks


def _value(raw: str, lines: Iterator[tuple[int, str]]) -> tuple[str, str, str]:
    """Return value, comment and quote; a quoted value may go on over several lines."""
    raw = raw.strip()
    quote = raw[:1]
    if quote in ("'", '"'):
        closing = re.compile(r"(?<!\\)" + quote)
        rest = raw[1:]
        while (end := closing.search(rest)) is None:
            following = next(lines, None)
            if following is None:
                return raw, "", ""  # never closed: the quote is a part of the value
            rest += "\n" + following[1]
        value = rest[: end.start()]
        if quote == '"':
            value = value.replace('\\"', '"').replace("\\n", "\n")
        return value, _comment(rest[end.end() :]), quote
    match = re.search(r"(^|\s)#", raw)
    if match:
        return raw[: match.start()].strip(), _comment(raw[match.start() :]), ""
    return raw, "", ""


def _comment(text: str) -> str:
    return text.strip().removeprefix("#").strip()


def read_abra(text: str, file: str) -> tuple[Variables, list[Remark]]:
    """Return the variables that `abra.sh` exports at its top level: versions of configs.

    It is never run. What only a shell could tell is a remark.
    """
    found = Variables()
    remarks: list[Remark] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _EXPORT.match(line)
        if match is None or (line[:1].isspace() and not line.strip().startswith("export ")):
            continue
        name, place = match[1], Place(file, number)
        value, comment, _ = _value(match[2], iter(()))
        if "$(" in value or "`" in value:
            if name.endswith("_VERSION"):
                remarks.append(Remark(place, f"{name} is worked out by a shell; it is empty here"))
            continue
        value = _REFERENCE.sub(
            lambda used: found[used[1] or used[2]].value if (used[1] or used[2]) in found else "",
            value,
        )
        found[name] = Variable(name, value.rstrip(";"), place, comment)
    return found, remarks


def hints(comment: str) -> dict[str, str]:
    """Return `key=value` hints of a comment, such as `length=32 charset=hex`."""
    return dict(re.findall(r"\b(length|charset|generate)\s*=\s*([A-Za-z0-9,_-]+)", comment))
