"""TOML with places: `tomllib` for the values, a scanner of our own for the lines of the keys.

`tomllib` forgets where a key stood; an error without its line is half an error. The scanner runs on
text that `tomllib` accepted, so it only has to find keys, not to judge them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys from the root; an int is an index into an array."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_KEY_PART = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_-]+")
_STRING = re.compile(
    r"\"\"\"(?:[^\\]|\\.)*?\"{3,5}(?!\")|'''.*?'{3,5}(?!')|\"(?:[^\"\\]|\\.)*\"|'[^']*'", re.DOTALL
)
_BARE = re.compile(r"[^,\]}\n#]*")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


class TomlBroken(Exception):
    """The file is no TOML. `where` is `file:line`, `what` the parser's word."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A parsed file that knows where its keys stand."""

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def line(self, *key: str | int) -> int:
        """Return the line of `key`, or of the nearest table around it that is written down."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def where(self, *key: str | int) -> str:
        """Return `file:line` of `key`."""
        return f"{self.path}:{self.line(*key)}"


def read_toml(path: Path) -> TomlFile:
    """Parse `path`. Raises `TomlBroken`, and `OSError` if it cannot be read."""
    raw = path.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TomlBroken(f"{path}:{line}", "not UTF-8 text") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = str(error)
        place = _AT_LINE.search(what)
        line = int(place.group(1)) if place else text.count("\n") + 1
        what = what[: place.start()] if place else what
        raise TomlBroken(f"{path}:{line}", f"broken TOML: {what[:1].lower()}{what[1:]}") from None
    return TomlFile(path, data, _Scanner(text.replace("\r\n", "\n")).scan())


class _Scanner:
    """Finds the line of each key, tables and elements of arrays included."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}
        self._counted = 0
        self._line = 1

    def scan(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_SPACE)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
            self._skip(_SPACE)
        return self._lines

    def _header(self, brackets: int) -> KeyPath:
        self._at += brackets
        self._skip(_BLANK)
        path = self._key(())
        if brackets == 2:
            index = self._arrays.get(path, 0)
            self._arrays[path] = index + 1
            path = (*path, index)
            self._note(path)
        elif path in self._arrays:
            path = (*path, self._arrays[path] - 1)
        self._at += brackets
        return path

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table)
        self._at += 1  # =
        self._skip(_BLANK)
        self._value(path)

    def _key(self, path: KeyPath) -> KeyPath:
        """Read a dotted key below `path`; inside an array of tables it means its last table."""
        while True:
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
            part = self._take(_KEY_PART)
            path = (*path, _unquoted(part))
            self._note(path)
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return path
            self._at += 1
            self._skip(_BLANK)

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at : self._at + 1]
        if first in ("'", '"') and first:
            self._take(_STRING)
        elif first == "[":
            self._items("]", path)
        elif first == "{":
            self._items("}", path)
        else:
            self._take(_BARE)

    def _items(self, end: str, path: KeyPath) -> None:
        self._at += 1
        index = 0
        self._skip(_SPACE)
        while self._at < len(self._text) and self._text[self._at] != end:
            if end == "]":
                self._note((*path, index))
                self._value((*path, index))
            else:
                self._pair(path)
            index += 1
            self._skip(_SPACE)
            if self._text.startswith(",", self._at):
                self._at += 1
            self._skip(_SPACE)
        self._at += 1

    def _note(self, path: KeyPath) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        self._lines.setdefault(path, self._line)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None or not match.group():
            # Nothing that TOML allows comes here; move on rather than stand still.
            self._at += 1
            return ""
        self._at = match.end()
        return match.group()

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at


def _unquoted(part: str) -> str:
    if part[:1] == "'":
        return part[1:-1]
    if part[:1] == '"':
        return str(tomllib.loads(f"k = {part}")["k"])
    return part
