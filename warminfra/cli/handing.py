"""What a lease hands to the recipe: its names in the app's env file, its secrets to the stack, and
an overlay with which the stack's containers reach the server.

Each file is changed whole or not at all; the env file holds secrets and is for its owner alone.
Lines that the recipe does not name stay as they are, comments and order included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from warminfra.core.errors import Usage
from warminfra.core.files import write_private

if TYPE_CHECKING:
    from warminfra.client import Client
    from warminfra.core.models import JsonObject

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_VERSION = re.compile(r"SECRET_([A-Z0-9_]+?)(?:_VERSION)?")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


class Handing:
    """One lease's hand-over. Raises `Usage` before anything is leased if the file does not do."""

    def __init__(self, stack: str, app_env: Path | None, overlay: Path | None = None) -> None:
        self._stack = stack
        self._overlay = overlay
        self._services: tuple[str, ...] = ()
        self._version: str | None = None
        self._file = app_env
        self._text = "" if app_env is None else _read(app_env)
        if stack and not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", stack):
            raise Usage(
                f"--stack {stack!r} is no stack name", hint="letters, digits and . _ -, at most 63"
            )

        if overlay is not None and not stack:
            raise Usage("--overlay is for a stack, and none is named", hint="add --stack NAME")

    def look(self, client: Client, recipe: str) -> None:
        """Read which services the overlay is for. Raises `RecipeInvalid` or `NotFound`."""
        if self._overlay is None:
            return
        from warminfra.recipes.compose import read_version
        from warminfra.recipes.overlay import written_version

        for row in client.recipes():
            if row["name"] == recipe:
                folder = Path(row["path"])
                read = read_version(
                    folder,
                    env=self._text or None,
                    env_file=str(self._file),
                    stack=self._stack,
                    by_engine=False,
                )
                self._services = tuple(read.services)
                self._version = written_version(folder / read.compose_files[0])

    @property
    def secret_versions(self) -> dict[str, str]:
        """Return secret → version, from the app's `SECRET_<NAME>_VERSION=…` lines."""
        found = {}
        for line in self._text.splitlines():
            match = _LINE.fullmatch(line)
            name = match and _VERSION.fullmatch(match[1])
            if match and name:
                value = match[2].split(" #")[0].strip().strip("\"'")
                if re.fullmatch(r"[A-Za-z0-9_.-]+", value):
                    found[name[1].lower()] = value
        return found

    def write(self, document: JsonObject) -> None:
        """Set the lease's environment in the env file, write the overlay; if there are such."""
        if self._file is None and self._overlay is None:
            return
        from warminfra.recipes.overlay import in_containers, overlay

        if self._overlay is not None:
            text = overlay(document, self._services, self._stack, self._version)
            write_private(self._overlay, text)
        if self._file is not None:
            values = {**document["env"], **in_containers(document)}
            write_private(self._file, merged(self._text, values))


def merged(text: str, values: Mapping[str, str]) -> str:
    """Return the env file `text` with `values` in place of lines of their names, or at its end."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1] not in values:
            lines.append(line)
        elif match[1] in left:  # a second line of the name would win over the first
            lines.append(f"{match[1]}={_quoted(left.pop(match[1]))}")
    lines += [f"{name}={_quoted(value)}" for name, value in left.items()]
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    """Return a value as shells and Compose both read it back."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" not in value and "\n" not in value:
        return f"'{value}'"
    for special in ("\\", '"', "$", "`"):
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(
            f"--app-env {file}: {getattr(error, 'strerror', None) or 'not a text'}",
            hint="name the app's env file",
        ) from None
