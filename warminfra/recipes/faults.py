"""Collects all faults of one recipe file, each as `file:line: key: what; expected form`.

The `take_…` functions return a value that fits, or a stand-in after noting the fault: reading goes
on to the end of the file, so that a person mends it once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from warminfra.config.toml import KeyPath, TomlFile
from warminfra.config.words import dotted, nearest


class Faults:
    """The faults of one file so far."""

    def __init__(self, file: TomlFile) -> None:
        self._file = file
        self._found: list[tuple[float, str]] = []

    @property
    def lines(self) -> list[str]:
        """Return the faults in the order of the file, those of other files last."""
        return [text for _, text in sorted(self._found, key=lambda fault: fault[0])]

    def add(self, key: KeyPath, what: str, expected: str = "") -> None:
        """Note one fault at `key`."""
        tail = f"; expected {expected}" if expected else ""
        place = f"{self._file.where(*key)}: {dotted(key)}"
        self._found.append((self._file.line(*key), f"{place}: {what}{tail}"))

    def add_elsewhere(self, line: str) -> None:
        """Note a fault of a file that the recipe's file names."""
        self._found.append((float("inf"), line))

    def known_only(self, table: Mapping[str, Any], key: KeyPath, known: Collection[str]) -> None:
        """Note every key of `table` that is not known, with the nearest one that is."""
        for name in table:
            if name not in known:
                self.add((*key, name), f"unknown; {nearest(name, known)}")

    def take_table(self, parent: Mapping[str, Any], key: KeyPath) -> Mapping[str, Any]:
        """Return the table at `key`, empty if there is none."""
        value = parent.get(str(key[-1]), {})
        if isinstance(value, Mapping):
            return value
        self.add(key, f"{value!r} is not a table", f"[{dotted(key)}]")
        return {}

    def take_tables(self, parent: Mapping[str, Any], key: KeyPath) -> list[Mapping[str, Any]]:
        """Return the tables of the array at `key`."""
        value = parent.get(str(key[-1]), [])
        if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            return value
        self.add(key, f"{_short(value)} is not an array of tables", f"[[{dotted(key)}]]")
        return []

    def take_text(
        self,
        table: Mapping[str, Any],
        key: KeyPath,
        default: str = "",
        *,
        pattern: str = r"[^\0\r\n]+",
        expected: str = "a text of one line",
    ) -> str:
        """Return the text at `key` if it matches `pattern`."""
        name = str(key[-1])
        if name not in table:
            return default
        value = table[name]
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            self.add(key, f"{_short(value)} does not fit", expected)
            return default
        return value

    def take_texts(self, table: Mapping[str, Any], key: KeyPath) -> tuple[str, ...]:
        """Return the list of distinct, non-empty texts at `key`."""
        value = table.get(str(key[-1]), [])
        if not isinstance(value, list):
            self.add(key, f"{_short(value)} is not a list", 'a list of texts, as in ["a", "b"]')
            return ()
        good: list[str] = []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                self.add((*key, index), f"{_short(item)} does not fit", "a text that is not empty")
            elif item in good:
                self.add((*key, index), f"{item!r} stands there twice", "each value once")
            else:
                good.append(item)
        return tuple(good)

    def take_choice(
        self, table: Mapping[str, Any], key: KeyPath, words: Collection[str], default: str
    ) -> str:
        """Return the word at `key` if it is one of `words`."""
        value = table.get(str(key[-1]), default)
        if isinstance(value, str) and value in words:
            return value
        choices = ", ".join(f'"{word}"' for word in words)
        self.add(key, f"{_short(value)} does not fit", f"one of {choices}")
        return default

    def take_flag(self, table: Mapping[str, Any], key: KeyPath) -> bool:
        """Return the boolean at `key`, false if there is none."""
        value = table.get(str(key[-1]), False)
        if isinstance(value, bool):
            return value
        self.add(key, f"{_short(value)} does not fit", "true or false")
        return False

    def take_count(
        self, table: Mapping[str, Any], key: KeyPath, default: int | None = None
    ) -> int | None:
        """Return the whole number of at least 0 at `key`, `default` if there is none."""
        value = table.get(str(key[-1]), default)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self.add(key, f"{_short(value)} does not fit", "a whole number of at least 0")
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
