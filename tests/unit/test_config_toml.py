"""The line scanner: every key that `tomllib` finds has a line, whatever the writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warminfra.config.toml import KeyPath, TomlBroken, read_toml
from warminfra.config.words import nearest

TEXT = '''\
# comment with [brackets] and "quotes
top = "a # no comment" # a comment
"quoted key" = 1
'single' = 2
dotted.inner . deep = true

[a.b]   # a table
list = [
  "one", # first
  { x = 1, y = [2,
    3] },
]
multi = """
[not.a.table]
key = "no key"
""\\"" """
raw = \'\'\'
[[nor.this]]\'\'\'
date = 1979-05-27T07:32:00Z
after = 1

[[users]]
name = "x"
[users.more]
deep = 1
[[users]]
name = "y"
  [[users.mails]]
  at = "z"
'''


def keys(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield every key path of parsed TOML."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield (*path, key)
        yield from keys(item, (*path, key))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_key_has_the_line_where_it_stands(tmp_path: Path, newline: str) -> None:
    """Comments, strings over lines, arrays of tables and inline tables do not lead it astray."""
    path = tmp_path / "x.toml"
    path.write_bytes(TEXT.replace("\n", newline).encode())
    file = read_toml(path)
    assert set(keys(file.data)) == set(file.lines)
    lines = {key: file.lines[key] for key in file.lines}
    assert lines["top",] == 2
    assert lines["quoted key",] == 3
    assert lines["dotted", "inner", "deep"] == 5
    assert lines["a", "b", "list", 1] == 10
    assert lines["a", "b", "list", 1, "y", 1] == 11
    assert lines["a", "b", "after"] == 20
    assert lines["users", 0, "more", "deep"] == 25
    assert lines["users", 1] == 26
    assert lines["users", 1, "mails", 0, "at"] == 29
    assert file.where("users", 1, "absent") == f"{path}:26"


SCALARS = st.sampled_from(['"a]b"', "'{'", "1", "1.5e3", "true", '"""\n[x]\n"""', "[]", "{}"])
NAMES = st.sampled_from(["a", "b-1", '"q.x"', "'#'"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a TOML text of tables, arrays of tables and values."""
    lines = [f"{name} = {draw(SCALARS)}" for name in draw(st.sets(NAMES))]
    for index in range(draw(st.integers(0, 4))):
        header = draw(st.sampled_from([f"[t{index}.u]", "[[many]]", f"[ t{index} ]"]))
        lines.append(header)
        for name in draw(st.sets(NAMES)):
            value = draw(SCALARS)
            lines.append(
                f"{name} = [{value}, {{ k = {value} }}] # x"
                if draw(st.booleans())
                else f"{name}={value}"
            )
    return "\n".join(lines)


@given(text=documents())
def test_scanner_and_parser_agree_on_the_keys(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """For any document the scanner finds exactly the keys that the parser finds."""
    path = tmp_path_factory.mktemp("toml") / "x.toml"
    path.write_text(text)
    try:
        file = read_toml(path)
    except TomlBroken:
        return  # an inline table may not hold a line break
    assert set(keys(file.data)) == set(file.lines)


def test_nearest_names_a_known_word_or_all_of_them() -> None:
    """A slip names what was meant; a stranger gets the list."""
    assert nearest("polcy", ["policy", "max_age"]) == "did you mean 'policy'?"
    assert nearest("zzz", ["policy", "max_age"]) == "known here: max_age, policy"
