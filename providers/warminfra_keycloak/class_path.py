"""One class path for all that a built server consists of.

Quarkus' own launcher loads the same jars by a class loader of its own, of which Java's class data
archive holds four fifths of the classes; of a plain class path it holds nearly all, and a start
takes a seventh less time. Which jars, and in which order, is what the build wrote down.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

from warminfra.core.errors import ConfigInvalid

JAR = "class-path.jar"
"""In the build's home: a jar of nothing but a manifest that names the others."""

MAIN = "org.keycloak.quarkus.runtime.KeycloakMain"

_WRITTEN_DOWN = Path("lib", "quarkus", "quarkus-application.dat")
_ENTRY = re.compile(rb"(?:app|lib|quarkus|providers)/[^\x00-\x1f]+?\.jar")
_LINE = 72
"""Bytes of a manifest's line, at most; one that goes on begins with a space."""


def write_jar(home: Path) -> None:
    """Write the jar for the server built in `home`.

    Raises `ConfigInvalid` if the build did not write down what it consists of in the form known.
    """
    told_in = home / _WRITTEN_DOWN
    written = told_in.read_bytes() if told_in.is_file() else b""
    jars = [_within(name.decode(errors="replace")) for name in _ENTRY.findall(written)]
    missing = [jar for jar in jars if not (home / jar).is_file()]
    if missing or not jars or MAIN.encode() not in written:
        raise ConfigInvalid(
            f"{told_in} does not tell of what the server consists"
            + (f": there is no {missing[0]}" if missing else ""),
            hint="use a version that is known to work, such as the default of keycloak.version",
        )
    told = "Class-Path: " + " ".join(quote(jar) for jar in dict.fromkeys(jars))
    lines = ["Manifest-Version: 1.0", told[:_LINE]]
    lines += [f" {told[at : at + _LINE - 1]}" for at in range(_LINE, len(told), _LINE - 1)]
    with ZipFile(home / JAR, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "\r\n".join((*lines, "")))


def _within(name: str) -> str:
    """Return an entry's path from home: providers lie beside `lib`, all else in it."""
    return name if name.startswith("providers/") else f"lib/{name}"
