"""The rows of a scratch server's database, read from a copy of its file while it runs.

H2 appends, and with `WRITE_DELAY=0` what was committed is in the file: a copy opens as after a
power cut. The jar is the one that the server runs on. What the admin API does not show is here:
symmetric keys, password hashes, rows that no realm owns any more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from warminfra.core.audit import Row
from warminfra.core.errors import Unreachable

_FILE = "keycloakdb.mv.db"
_URL = "jdbc:h2:file:{};NON_KEYWORDS=VALUE;ACCESS_MODE_DATA=r"
_TIMEOUT = 120.0
_TRIES = 3
_LOG_OF_MIGRATIONS = frozenset({"DATABASECHANGELOG", "DATABASECHANGELOGLOCK", "MIGRATION_MODEL"})

_INSERT = re.compile(r'INSERT INTO "PUBLIC"\."(\w+)"\(([^)]*)\) VALUES\((.*)\);\s*', re.DOTALL)
_STATEMENT = re.compile(r"^INSERT INTO .*?\);[ ]*$", re.DOTALL | re.MULTILINE)
_VALUE = re.compile(
    r"\s*(?:(?:U&|TIMESTAMP |DATE |X)?'((?:[^']|'')*)'|[^,(']*(?:\([^)]*\)[^,(']*)?)\s*(?:,|$)"
)
"""One value and its comma: a text (in the group), or NULL, a number, a call."""
_SECRET_CONFIG = frozenset({"privateKey", "secret", "clientSecret", "bindCredential"})


def read_rows(java: Path, data: Path, work: Path) -> tuple[Row, ...]:
    """Return all rows below an instance's data directory; the copy is made, and removed, in `work`.

    Raises `Unreachable` if they cannot be had.
    """
    (jar,) = (data / "home" / "lib" / "lib" / "main").glob("com.h2database.h2-*.jar")
    said = ""
    for _ in range(_TRIES):  # a copy that was taken within a write may not open
        with tempfile.TemporaryDirectory(prefix="rows-", dir=work) as folder:
            shutil.copyfile(data / "h2" / _FILE, Path(folder) / _FILE)
            script = Path(folder) / "rows.sql"
            done = subprocess.run(
                [
                    *(str(java), "-XX:TieredStopAtLevel=1", "-cp", str(jar)),
                    "org.h2.tools.Shell",
                    *("-url", _URL.format(Path(folder) / _FILE.removesuffix(".mv.db"))),
                    *("-user", "", "-password", ""),
                    *("-sql", f"SCRIPT SIMPLE COLUMNS TO '{script}'"),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
            if script.is_file():
                return tuple(parse(script.read_text()))
            said = (done.stderr or done.stdout).strip().partition("\n")[0]
    raise Unreachable(f"the database below {data} could not be read: {said}")


def parse(script: str) -> Iterator[Row]:
    """Yield a row for each INSERT of an H2 script with column names."""
    for statement in _STATEMENT.findall(script):
        found = _INSERT.fullmatch(statement)
        if found is None or found.group(1) in _LOG_OF_MIGRATIONS:
            continue
        names = [name.strip(' "') for name in found.group(2).split(",")]
        texts = [one.group(1) for one in _VALUE.finditer(found.group(3))]
        values = {
            name: text.replace("''", "'")
            for name, text in zip(names, texts, strict=False)
            if text is not None
        }
        table = found.group(1)
        yield Row(table, tuple(values.values()), frozenset(_secrets(table, values)))


def _secrets(table: str, values: Mapping[str, str]) -> Iterator[str]:
    if values.get("NAME") in _SECRET_CONFIG and "VALUE" in values:
        yield values["VALUE"]
    if table in ("CLIENT", "CREDENTIAL"):
        yield from (values[name] for name in ("SECRET", "SECRET_DATA") if values.get(name))
