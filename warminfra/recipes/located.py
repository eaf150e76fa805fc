"""YAML whose every key knows its line: what a compose file says, and where.

Scalars are typed as the engine's own reader types them (`yes` and `on` are texts, dates too).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from warminfra.recipes.model import Place, Remark

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*|0[0-7_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MERGE = "tag:yaml.org,2002:merge"


class Table(dict[str, Any]):
    """A mapping. `places` holds the line of each key."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}

    def put(self, key: str, value: Any, place: Place) -> None:
        self[key] = value
        self.places[key] = place

    def at(self, key: str) -> Place:
        """Return where `key` stands, or where the table does."""
        return self.places.get(key, self.place)

    def entries(self) -> Iterator[tuple[str, Any, Place]]:
        for key, value in self.items():
            yield key, value, self.at(key)


class Items(list[Any]):
    """A list. `places` holds the line of each item."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def put(self, value: Any, place: Place) -> None:
        self.append(value)
        self.places.append(place)

    def entries(self) -> Iterator[tuple[Any, Place]]:
        yield from zip(self, self.places, strict=True)


class YamlBroken(Exception):
    """The text is no YAML that an engine would read. The message has file and line."""


def load(text: str, file: str) -> tuple[Table, list[Remark]]:
    """Return the mapping that `text` is, and what is odd about it. Raises `YamlBroken`."""
    remarks: list[Remark] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return Table(Place(file, 1)), [Remark(Place(file, 1), "the file is empty")]
        value = _Reader(file, remarks).read(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1 if mark else 1)
        raise YamlBroken(f"{place}: broken YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlBroken(f"{file}:1: broken YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise YamlBroken(f"{file}:1: nested too deeply") from None
    if not isinstance(value, Table):
        raise YamlBroken(f"{file}:1: not a mapping; expected a compose file")
    return value, remarks


class _Reader:
    def __init__(self, file: str, remarks: list[Remark]) -> None:
        self._file = file
        self._remarks = remarks
        self._above: set[int] = set()

    def read(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._above:
            raise YamlBroken(f"{self._place(node)}: an anchor that holds itself")
        self._above.add(id(node))
        try:
            return self._table(node) if isinstance(node, yaml.MappingNode) else self._items(node)
        finally:
            self._above.discard(id(node))

    def _table(self, node: yaml.MappingNode) -> Table:
        table = Table(self._place(node))
        merged: list[Table] = []
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if key_node.tag == _MERGE:
                value = self.read(value_node)
                merged += value if isinstance(value, Items) else [value]
                if not all(isinstance(one, Table) for one in merged):
                    raise YamlBroken(f"{place}: << wants a mapping, or a list of them")
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlBroken(f"{place}: a key that is no text")
            key = str(key_node.value)
            if key in table:
                raise YamlBroken(f"{place}: {key!r} stands there twice")
            table.put(key, self.read(value_node), place)
        for other in merged:  # the table's own keys win, then the first of the merged
            for key, value, place in other.entries():
                if key not in table:
                    table.put(key, value, place)
        return table

    def _items(self, node: yaml.Node) -> Items:
        items = Items(self._place(node))
        for child in node.value:
            items.put(self.read(child), self._place(child))
        return items

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style in ("'", '"', "|", ">") or node.tag.startswith("!"):
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.title(), text.upper()):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return _int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _int(text: str) -> int:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def mapped(value: Any, change: Callable[[str, Place], Any], place: Place) -> Any:
    """Return a copy of `value` with every text changed; keys stay as they are."""
    if isinstance(value, Table):
        table = Table(value.place)
        for key, child, at in value.entries():
            table.put(key, mapped(child, change, at), at)
        return table
    if isinstance(value, Items):
        items = Items(value.place)
        for child, at in value.entries():
            items.put(mapped(child, change, at), at)
        return items
    return change(value, place) if isinstance(value, str) else value
