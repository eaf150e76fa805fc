"""Brings a compose file's short forms to long ones: `"80:80"`, `"data:/data:ro"`, `A=1`, …

What has no form that is known stays as it is; `check` tells of it.
"""

from __future__ import annotations

import re
from typing import Any

from warminfra.recipes.located import Items, Table
from warminfra.recipes.model import Place

_MAPPED = ("environment", "labels", "sysctls", "extra_hosts")
_PORT = re.compile(
    r"(?:(?P<ip>\[[^]]*\]|\d+(?:\.\d+){3}):)?(?:(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+(?:-\d+)?)"
    r"(?:/(?P<protocol>\w+))?"
)


def lengthened(section: str, body: Any) -> Any:
    """Return one entry of a section in long form."""
    if not isinstance(body, Table):
        return body
    return _service(body) if section == "services" else _object(body)


def _service(body: Table) -> Table:
    result = Table(body.place)
    for key, value, place in body.entries():
        if key in _MAPPED:
            value = _mapping(value)
        elif key == "networks" and isinstance(value, Items):
            value = _names(value)
        elif key in ("ports", "volumes", "secrets", "configs") and isinstance(value, Items):
            value = _long_items(key, value)
        elif key == "deploy" and isinstance(value, Table):
            value = _deploy(value)
        result.put(key, value, place)
    return result


def _deploy(body: Table) -> Table:
    result = Table(body.place)
    for key, value, place in body.entries():
        result.put(key, _mapping(value) if key == "labels" else value, place)
    return result


def _object(body: Table) -> Table:
    """Return a network, volume, secret or config: `external: {name: x}` is an old spelling."""
    result = Table(body.place)
    for key, value, place in body.entries():
        if key == "external" and isinstance(value, Table):
            result.put("external", True, place)
            if "name" in value:
                result.put("name", value["name"], value.at("name"))
        else:
            result.put(key, _mapping(value) if key == "labels" else value, place)
    return result


def _mapping(value: Any) -> Any:
    if not isinstance(value, Items):
        return value
    table = Table(value.place)
    for item, place in value.entries():
        name, equals, text = str(item).partition("=")
        table.put(name, text if equals else None, place)
    return table


def _names(value: Items) -> Table:
    table = Table(value.place)
    for item, place in value.entries():
        table.put(str(item), None, place)
    return table


def _long_items(key: str, value: Items) -> Items:
    items = Items(value.place)
    for item, place in value.entries():
        if isinstance(item, Table):
            items.put(item, place)
        elif key == "ports":
            for port in _ports(str(item), place):
                items.put(port, place)
        elif key == "volumes":
            items.put(_mount(str(item), place), place)
        else:
            items.put(_table(place, source=str(item)), place)
    return items


def _ports(text: str, place: Place) -> list[Any]:
    match = _PORT.fullmatch(text.strip())
    if match is None:
        return [text]
    targets = _range(match["target"])
    published = _range(match["published"]) if match["published"] else [0] * len(targets)
    if len(published) != len(targets):
        return [text]
    protocol = match["protocol"] or "tcp"
    return [
        _table(place, mode="ingress", target=target, published=number, protocol=protocol)
        for target, number in zip(targets, published, strict=True)
    ]


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _mount(text: str, place: Place) -> Table:
    parts = text.split(":")
    if len(parts) == 1:
        return _table(place, type="volume", target=text)
    source, target, *options = parts
    words = ",".join(options).split(",")
    if not source.startswith(("/", ".", "~")) and len(source) == 1:
        return _table(place, type="volume", target=text)  # the engine takes it for a drive
    kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    read_only = {"read_only": True} if "ro" in words else {}
    return _table(place, type=kind, source=source, target=target, **read_only)


def _table(place: Place, **values: Any) -> Table:
    table = Table(place)
    for key, value in values.items():
        table.put(key, value, place)
    return table
