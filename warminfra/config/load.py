"""Reads the settings from wherever they are set, and remembers where.

Flag > environment > `./warminfra.toml` > the user's file > `/etc/warminfra/config.toml` > default.
All faults are found before one error names them all. Policy (`[sharing]`, `[audit]`) comes from the
user's and the system's file alone: what is under test must not decide how it is judged.

`./warminfra.toml` may be a recipe's file at the same time. Its recipe tables are then passed over,
and so is its `[pool]`, which in a recipe's file means that recipe.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warminfra.config.kinds import Kind, show
from warminfra.config.places import LOCAL_NAME, SYSTEM_FILE, default_dirs, home, user_file
from warminfra.config.rules import contradictions
from warminfra.config.settings import POLICY_SECTIONS, SECTIONS, Settings, kinds
from warminfra.config.words import nearest
from warminfra.core.errors import ConfigInvalid

if TYPE_CHECKING:
    from warminfra.config.toml import TomlFile

PREFIX = "WARMINFRA_"
RECIPE_TABLES = frozenset({"sso", "readiness", "stages", "weight"})
"""Tables that make a `warminfra.toml` a recipe's file."""

NOT_SETTINGS = frozenset(
    {"LEASE", "DEBUG", "LIVE", "CONFIG", "RUN", "SLOT", "RECIPE", "DOMAIN", "KEY"}
)
"""Variables of ours (after the prefix) that are no settings: switches, and options of a command."""
NOT_SETTINGS_PREFIXES = ("LEASE_", "TEST_", "SOAK_", "BENCH_")

_BORROWED = {"home": "KEYCLOAK_HOME", "java_home": "JAVA_HOME"}
"""Keys of `[keycloak]` that fall back to a variable which the machine may have set anyway."""

_POLICY_HINT = "policy is read only from the user's or the system's configuration file"


def variable(key: str) -> str:
    """Return the environment variable of a setting, by its key `section.name`."""
    return PREFIX + key.upper().replace(".", "__")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings and where each came from.

    An origin is `default`, `flag`, `env NAME` or `file:line`.
    """

    settings: Settings
    origins: Mapping[str, str]


def load(
    flags: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    system_file: Path = SYSTEM_FILE,
) -> Loaded:
    """Return the settings in force. `flags` maps `section.key` to text.

    Raises `ConfigInvalid` with one line for each fault.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    collector = _Collector(cwd, environ)
    collector.defaults()
    collector.file(system_file)
    collector.file(_users_file(cwd, environ, collector.problems))
    collector.file(cwd / LOCAL_NAME, local=True)
    collector.environment()
    collector.flags(flags or {})
    if not collector.problems:
        settings = collector.settings()
        collector.problems += contradictions(settings, collector.origins)
    if collector.problems:
        raise ConfigInvalid("\n".join(collector.problems))
    return Loaded(settings, collector.origins)


def rows(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Return key, shown value (secrets masked) and origin of every setting, in order."""
    return [
        (
            f"{section}.{key}",
            show(getattr(getattr(loaded.settings, section), key), kind),
            loaded.origins[f"{section}.{key}"],
        )
        for section, key, kind in kinds()
    ]


def _users_file(cwd: Path, environ: Mapping[str, str], problems: list[str]) -> Path:
    """Return the user's file; `WARMINFRA_CONFIG` names another one, which must be there."""
    named = environ.get(PREFIX + "CONFIG", "")
    if not named:
        return user_file(environ)
    path = cwd / named
    local = cwd / LOCAL_NAME
    if not path.is_file():
        problems.append(f"env {PREFIX}CONFIG: {named!r} is not a file; expected a TOML file")
    elif local.exists() and path.samefile(local):
        problems.append(f"env {PREFIX}CONFIG: {named!r} is ./{LOCAL_NAME}, which sets no policy")
    return path


class _Collector:
    """Gathers values from the lowest source to the highest; the later one wins."""

    def __init__(self, cwd: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.origins: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._kinds: dict[str, Kind] = {f"{s}.{k}": kind for s, k, kind in kinds()}
        self._cwd = cwd
        self._environ = environ

    def defaults(self) -> None:
        self.origins = dict.fromkeys(self._kinds, "default")
        dirs = default_dirs(self._environ, root=os.geteuid() == 0)
        for key, (path, origin) in dirs.items():
            self._values[f"service.{key}"] = path
            self.origins[f"service.{key}"] = origin
        for key, variable in _BORROWED.items():
            if value := self._environ.get(variable, ""):
                self._set(f"keycloak.{key}", value, f"env {variable}", self._cwd)

    def file(self, path: Path, *, local: bool = False) -> None:
        if not os.path.lexists(path):
            return
        from warminfra.config.toml import TomlBroken, read_toml  # only a file needs it

        try:
            found = read_toml(path)
        except TomlBroken as error:
            self.problems.append(str(error))
            return
        except OSError as error:
            self.problems.append(f"{path}: cannot be read: {error.strerror}")
            return
        passed_over = set[str]()
        if local and RECIPE_TABLES & found.data.keys():
            passed_over = {*RECIPE_TABLES, "pool"}
        for section, table in found.data.items():
            if section not in passed_over:
                self._section(found, section, table, local=local)

    def environment(self) -> None:
        for name in sorted(self._environ):
            if not name.startswith(PREFIX):
                continue
            word = name[len(PREFIX) :]
            if word in NOT_SETTINGS or word.startswith(NOT_SETTINGS_PREFIXES):
                continue
            key = word.lower().replace("__", ".", 1)
            if key.split(".")[0] in POLICY_SECTIONS:
                self.problems.append(f"env {name}: {_POLICY_HINT}")
            elif key not in self._kinds:
                names = [variable(known) for known in self._kinds]
                self.problems.append(f"env {name}: unknown; {nearest(name, names)}")
            elif self._environ[name]:  # a variable that is empty counts as not set
                self._set(key, self._environ[name], f"env {name}", self._cwd)

    def flags(self, flags: Mapping[str, str]) -> None:
        for key, value in flags.items():
            if key.split(".")[0] in POLICY_SECTIONS:
                self.problems.append(f"flag {key}: {_POLICY_HINT}")
            elif key not in self._kinds:
                self.problems.append(f"flag {key}: unknown; {nearest(key, self._kinds)}")
            else:
                self._set(key, value, "flag", self._cwd)

    def settings(self) -> Settings:
        built = {}
        for section, cls in SECTIONS.items():
            given = {
                spec.name: self._values[f"{section}.{spec.name}"]
                for spec in fields(cls)
                if f"{section}.{spec.name}" in self._values
            }
            built[section] = cls(**given)
        return Settings(**built)

    def _section(self, found: TomlFile, section: str, table: Any, *, local: bool) -> None:
        where = found.where(section)
        if section in POLICY_SECTIONS and local:
            self.problems.append(f"{where}: {section}: {_POLICY_HINT}")
        elif section not in SECTIONS:
            self.problems.append(f"{where}: {section}: unknown; {nearest(section, SECTIONS)}")
        elif not isinstance(table, Mapping):
            self.problems.append(f"{where}: {section}: not a table; expected [{section}]")
        else:
            for key, value in table.items():
                full, where = f"{section}.{key}", found.where(section, key)
                if full in self._kinds:
                    self._set(full, value, where, found.path.parent)
                else:
                    known = [spec.name for spec in fields(SECTIONS[section])]
                    self.problems.append(f"{where}: {full}: unknown; {nearest(key, known)}")

    def _set(self, key: str, value: Any, origin: str, base: Path) -> None:
        """Read one value; a relative path counts from `base`, where it was written."""
        kind = self._kinds[key]
        place = f"{origin} {key}" if origin == "flag" else f"{origin}: {key}"
        try:
            read = kind.read(value)
        except (ValueError, KeyError, OverflowError):
            shown = "the value" if kind.secret else repr(value)
            self.problems.append(f"{place}: {shown} does not fit; expected {kind.expects}")
            return
        if kind.is_path:
            text = str(read)
            if text == "~" or text.startswith("~/"):
                read = home(self._environ) / text[2:]
            read = base / read
        self._values[key] = read
        self.origins[key] = origin
