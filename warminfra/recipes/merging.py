"""Merges compose files as the engine's `stack` commands do, without an engine.

Each file is first brought to long forms; then the later file wins, key by key. Lists that have a
key (ports, mounts, secrets, configs) are merged by it, others are joined. Places go along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from warminfra.recipes.located import Items, Table
from warminfra.recipes.long_forms import lengthened

_REPLACED = frozenset({"command", "entrypoint", "test"})
_KEYED: dict[str, Callable[[Any], Any]] = {
    "ports": lambda port: port.get("published") if isinstance(port, Table) else port,
    "volumes": lambda mount: mount.get("target"),
    "secrets": lambda secret: secret.get("source"),
    "configs": lambda config: config.get("source"),
}
SECTIONS = ("services", "networks", "volumes", "secrets", "configs")


def merge(files: Sequence[Table]) -> Table:
    """Return what the files say together, in long forms. They are interpolated already."""
    merged = Table(files[0].place)
    for file in files:
        for section in SECTIONS:
            given = file.get(section)
            if not isinstance(given, Table):
                continue
            home = merged.get(section)
            if home is None:
                home = Table(given.place)
                merged.put(section, home, file.at(section))
            for name, body, place in given.entries():
                body = lengthened(section, body if body is not None else Table(place))
                if name in home and isinstance(body, Table) and isinstance(home[name], Table):
                    home[name] = _over(home[name], body, section == "services")
                else:
                    home.put(name, body, place)
    return merged


def _over(base: Table, over: Table, keyed: bool) -> Table:
    result = Table(base.place)
    for key, value, place in base.entries():
        result.put(key, value, place)
    for key, value, place in over.entries():
        below = result.get(key)
        if isinstance(below, Table) and isinstance(value, Table):
            result[key] = _over(below, value, keyed=False)
        elif isinstance(below, Items) and isinstance(value, Items) and key not in _REPLACED:
            result[key] = _joined(below, value, _KEYED.get(key) if keyed else None)
        elif value is not None or below is None:
            result.put(key, value, place)
    return result


def _joined(base: Items, over: Items, key_of: Callable[[Any], Any] | None) -> Items:
    result = Items(base.place)
    replaced = {key_of(value) for value in over} if key_of else set()
    for value, place in base.entries():
        if not (key_of and key_of(value) in replaced):
            result.put(value, place)
    for value, place in over.entries():
        result.put(value, place)
    return result
