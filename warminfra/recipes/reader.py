"""Reads a recipe's settings: `warminfra.toml` in its folder, whole or not at all.

The file is optional for what deploys something. A recipe without it, or without an `[sso]` table in
it, wants no pool; a lease of it has a plain client.

Every fault of the file (and of its realm file) is found before one `RecipeInvalid` names them all.
Sections of the installation's own configuration may stand in the same file; they are passed over
here and read by `config`. `[pool]` means this recipe.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from warminfra.config.load import RECIPE_TABLES
from warminfra.config.places import LOCAL_NAME
from warminfra.config.settings import POLICY_SECTIONS, SECTIONS
from warminfra.config.toml import TomlBroken, TomlFile, read_toml
from warminfra.config.words import nearest
from warminfra.core.errors import NotFound, RecipeInvalid, Usage
from warminfra.core.template import ClientSpec, UserSpec
from warminfra.recipes.compose_files import existing
from warminfra.recipes.faults import Faults
from warminfra.recipes.presets import DEFAULT_PRESET, PRESETS
from warminfra.recipes.realm_file import read_realm
from warminfra.recipes.sso import read_client, read_patterns, read_users

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SSO_KEYS = (
    "provider", "realm_file", "realm", "env_preset", "admin", "client", "users", "env", "secrets"
)  # fmt: skip
_PROBES = frozenset({"http", "tcp", "exec", "oidc"})
_READINESS_KEYS = _PROBES | {"service", "timeout"}


@dataclass(frozen=True, slots=True)
class RecipeSettings:
    """What a recipe asks for. `env` is complete: the preset with the recipe's own names over it."""

    name: str
    path: Path
    provider: str
    client: ClientSpec
    users: tuple[UserSpec, ...] = ()
    admin: bool = False
    realm: Mapping[str, Any] | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pool_min: int | None = None
    """None: the installation's default."""
    pool_max: int | None = None


def recipe_name(path: Path, name: str | None = None) -> str:
    """Return the recipe's name: `name`, or that of its folder. Raises `Usage` if it is none."""
    found = name or path.resolve().name
    if not _NAME.fullmatch(found):
        raise Usage(
            f"{found!r} is no recipe name",
            hint="use lower-case letters, digits and . _ -, at most 64, and begin with a letter",
        )
    return found


def read_recipe(
    path: Path, name: str | None = None, *, providers: Collection[str] = ("keycloak",)
) -> RecipeSettings:
    """Return the settings of the recipe in folder `path`.

    Raises `NotFound` if there is no such folder or file, `RecipeInvalid` with all faults at once.
    """
    name = recipe_name(path, name)
    if not path.is_dir():
        raise NotFound(f"{path}: no such recipe folder", hint="give the path of the recipe")
    try:
        file = read_toml(path / LOCAL_NAME)
    except FileNotFoundError:
        if not any(existing(path)):
            raise NotFound(
                f"{path}: neither {LOCAL_NAME} nor a compose file",
                hint="give the folder of a recipe, or write one with at least an [sso] table",
            ) from None
        file = TomlFile(path / LOCAL_NAME, {}, {})
    except TomlBroken as error:
        raise RecipeInvalid([str(error)]) from None
    except OSError as error:
        raise RecipeInvalid([f"{path / LOCAL_NAME}: cannot be read: {error.strerror}"]) from None
    faults = Faults(file)
    _top_level(faults, file.data)
    sso = faults.take_table(file.data, ("sso",))
    faults.known_only(sso, ("sso",), _SSO_KEYS)
    realm_file = faults.take_text(sso, ("sso", "realm_file"))
    realm = faults.take_text(sso, ("sso", "realm"))
    preset = faults.take_choice(sso, ("sso", "env_preset"), sorted(PRESETS), DEFAULT_PRESET)
    admin = faults.take_flag(sso, ("sso", "admin"))
    users = read_users(faults, sso)
    if realm and not realm_file:
        faults.add(("sso", "realm"), "chooses from a realm_file, and there is none")
    # A realm file may bring users of its own, so their number is known to the provider only.
    count = None if realm_file else len(users)
    pool = faults.take_table(file.data, ("pool",))
    default = None if "sso" in file.data or pool else 0
    settings = RecipeSettings(
        name=name,
        path=path.resolve(),
        provider=faults.take_choice(sso, ("sso", "provider"), providers, "keycloak"),
        client=read_client(faults, sso),
        users=users,
        admin=admin,
        realm=read_realm(faults, path, realm_file, realm) if realm_file else None,
        env={**PRESETS[preset], **read_patterns(faults, sso, "env", count, admin=admin)},
        secrets=read_patterns(faults, sso, "secrets", count, admin=admin),
        pool_min=faults.take_count(pool, ("pool", "min"), default),
        pool_max=faults.take_count(pool, ("pool", "max"), default),
    )
    _pool(faults, pool, settings)
    _stages_and_the_rest(faults, file.data)
    if faults.lines:
        raise RecipeInvalid(faults.lines)
    return settings


def _top_level(faults: Faults, data: Mapping[str, Any]) -> None:
    recipe_tables = sorted({*RECIPE_TABLES, "pool"})
    for section in data:
        if section in POLICY_SECTIONS:
            faults.add((section,), "policy is never read from a recipe", "it in the user's file")
        elif section not in recipe_tables and section not in SECTIONS:
            faults.add((section,), f"unknown; {nearest(section, [*recipe_tables, *SECTIONS])}")


def _pool(faults: Faults, pool: Mapping[str, Any], settings: RecipeSettings) -> None:
    faults.known_only(pool, ("pool",), ("min", "max"))
    least, most = settings.pool_min, settings.pool_max
    if least is not None and most is not None and least > most:
        faults.add(("pool", "min"), f"{least} is over pool.max, {most}", f"at most {most}")


def _stages_and_the_rest(faults: Faults, data: Mapping[str, Any]) -> None:
    """Check the form of what other commands read, so that `enroll` tells of a slip in it."""
    for index, probe in enumerate(faults.take_tables(data, ("readiness",))):
        faults.known_only(probe, ("readiness", index), _READINESS_KEYS)
        if len(_PROBES & probe.keys()) != 1:
            faults.add(("readiness", index), "not exactly one probe", "http, tcp, exec or oidc")
    stages = faults.take_table(data, ("stages",))
    faults.known_only(stages, ("stages",), ("share_deploy",))
    faults.take_texts(stages, ("stages", "share_deploy"))
    faults.known_only(faults.take_table(data, ("weight",)), ("weight",), ("memory", "cpu"))
