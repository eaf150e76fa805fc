"""Asks a server whether it takes a template, without making anything.

The creation of a second master is a conflict once the server has read the document, and a bad
request before: so it tells which part it cannot read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keycloak.urls_patterns import URL_ADMIN_REALMS, URL_ADMIN_SERVER_INFO

from warminfra.core.errors import RecipeInvalid
from warminfra.core.template import Template
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.features import empty
from warminfra_keycloak.lacking import Server, fatal, passed_over
from warminfra_keycloak.references import encode_policies

_BAD_REQUEST, _CONFLICT = 400, 409

Path = tuple[str | int, ...]


def fitted(
    template: Template, maker: AdminConnection, looker: AdminConnection
) -> tuple[Template, Sequence[str]]:
    """Return the template as the server takes it, and a line for each thing that it does without.

    What it cannot read and says nothing is left out, as the fields of a newer version mostly do.
    Raises `RecipeInvalid` with the rest, and with every provider that the server would fail on.
    """
    if not template.base:
        return template, ()
    base = copy.deepcopy(dict(template.base))
    unread = _Reader(maker).unread(base)
    lines = [
        f"{_dotted(path)}: the server does not know it" for path, value in unread if empty(value)
    ]
    problems = [
        f"realm_file: {_dotted(path)}: the server does not know it, or not with such a value"
        for path, value in unread
        if not empty(value)
    ]
    for path, value in unread:
        if empty(value):
            _remove(base, path)
    server = Server(looker.get(URL_ADMIN_SERVER_INFO).json())
    problems += fatal(base, server)
    if problems:
        raise RecipeInvalid(problems)
    lines += passed_over(base, server)
    return (replace(template, base=base) if unread else template), lines


@dataclass(slots=True)
class _Reader:
    """Finds the smallest parts of a document that the server cannot read."""

    maker: AdminConnection
    found: list[tuple[Path, Any]] = field(default_factory=list)

    def unread(self, base: Mapping[str, Any]) -> list[tuple[Path, Any]]:
        document = copy.deepcopy(dict(base))
        encode_policies(document)
        if not self._reads(document):
            self._descend((), document)
        return self.found

    def _descend(self, path: Path, node: Any) -> None:
        before = len(self.found)
        if isinstance(node, Mapping):
            parts: list[tuple[str | int, Any]] = list(node.items())
        else:
            parts = list(enumerate(node)) if isinstance(node, list) else []
        for key, value in parts:
            part = (*path, key)
            if self._reads(_around(part, value)):
                continue
            if isinstance(key, str) and not self._reads(_around(part, None)):
                self.found.append((part, value))  # whatever is in it, the name is not known
            else:
                self._descend(part, value)
        if len(self.found) == before:
            self.found.append((path, node))

    def _reads(self, document: Mapping[str, Any]) -> bool:
        answer = self.maker.send(
            *("POST", URL_ADMIN_REALMS),
            json={**document, "realm": "master"},
            allow=(_BAD_REQUEST, _CONFLICT),
        )
        return answer.status_code == _CONFLICT


def _around(path: Path, value: Any) -> Any:
    """Return a document with nothing but `value` at `path`."""
    for key in reversed(path):
        value = [value] if isinstance(key, int) else {key: value}
    return value


def _remove(node: Any, path: Path) -> None:
    for key in path[:-1]:
        node = node[key]
    if isinstance(node, dict):
        del node[path[-1]]


def _dotted(path: Path) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
