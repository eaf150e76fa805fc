"""What a Co-op Cloud recipe says, read: versions, services, images, secrets, what they collide on.

Values are after overlays and interpolation. Names of a stack's own objects are told without the
stack's name, as in the compose file. No value of the app's environment is kept: a recipe, as read,
can be shown and logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file of the recipe. `file` is as a person would type it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """What is odd at a place, and harmless."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class ImageUse:
    """An image that a service names. A deploy with the app's environment pulls those `chosen`."""

    service: str
    reference: str
    place: Place
    overlay: str
    """The compose file that names it, such as `compose.mariadb.yml`."""
    chosen: bool
    """The app's `COMPOSE_FILE` holds that overlay, and no later one names another image."""

    @property
    def floating(self) -> bool:
        """Say whether the same reference may be another image tomorrow by its author's habit."""
        if "@sha256:" in self.reference:
            return False
        tag = self.reference.rpartition("/")[2].partition(":")[2]
        return not any(character.isdigit() for character in tag)


@dataclass(frozen=True, slots=True)
class Port:
    """A published port. `mode` is `ingress` or `host`; `published` 0: one that the engine picks."""

    published: int
    target: int
    mode: str
    protocol: str
    place: Place


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a service. `kind` is `volume`, `bind` or `tmpfs`."""

    kind: str
    source: str
    """The volume's name in the file, the path on the host, or nothing."""
    target: str
    read_only: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the stack, after all overlays."""

    name: str
    image: str
    place: Place
    replicas: int = 1
    labels: Mapping[str, str] = field(default_factory=_nothing)
    """Those of `deploy.labels`, on the service itself."""
    container_labels: Mapping[str, str] = field(default_factory=_nothing)
    networks: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    environment: frozenset[str] = frozenset()
    """Names only."""
    health_check: bool = False
    health_interval: timedelta | None = None
    label_places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """Where each of `labels` stands."""


@dataclass(frozen=True, slots=True)
class SecretNeed:
    """A secret that the stack wants. `full_name`: the engine's name for it in that stack."""

    name: str
    full_name: str
    version: str
    """The value of its `…_VERSION`; nothing if it has none."""
    external: bool
    place: Place
    length: int | None = None
    charset: str = ""
    generate: bool = True
    """False: a person or the lease brings the value."""


@dataclass(frozen=True, slots=True)
class ConfigNeed:
    """A config that the stack brings. `file` is in the recipe's folder; nothing if external."""

    name: str
    full_name: str
    version: str
    external: bool
    file: str
    place: Place


@dataclass(frozen=True, slots=True)
class Network:
    """A network. `fixed_name`: the engine's name if it does not carry the stack's."""

    name: str
    external: bool
    fixed_name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; as `Network`."""

    name: str
    external: bool
    fixed_name: str
    place: Place


class BackupForm(StrEnum):
    """How backup labels are written."""

    V1 = "v1"
    """Paths on the service: `backupbot.backup.path`, hooks beside it."""
    V2 = "v2"
    """Volumes: `backupbot.backup.volumes.<volume>[.path]`."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What the backup of one service takes."""

    service: str
    form: BackupForm
    enabled: bool
    paths: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=_nothing)
    """Volume to the path in it; nothing: all of it. A volume left out has `false`."""
    pre_hook: str = ""
    post_hook: str = ""
    restore_pre_hook: str = ""
    restore_post_hook: str = ""


class Separation(StrEnum):
    """Whether two runs can be kept apart."""

    APART = "apart"
    """They are: nothing more is needed."""
    TURNS = "turns"
    """Only in time: one run after the other."""
    NEVER = "never"
    """Not by warminfra: the recipe has to change."""


class Severity(StrEnum):
    """How bad a collision of two runs is."""

    BLOCKS = "blocks"
    """A second run does not start, or breaks the first."""
    MIXES = "mixes"
    """Both start, and may see or answer for each other."""
    REACHES = "reaches"
    """A run has power over the whole node."""


@dataclass(frozen=True, slots=True)
class Collision:
    """Something of which two runs on one node would both want the one that there is."""

    kind: str
    """Stable: `published-port`, `host-port`, `tcp-catch-all`, `domain`, `router`, `middleware`,
    `docker-socket`, `host-path`, `network`, `volume`, `config`, `secret`."""
    service: str
    what: str
    severity: Severity
    separation: Separation
    """Whether it can be kept apart without a change of the recipe."""
    how: str
    """By what, or what a person would have to change."""
    place: Place


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """One version of a recipe."""

    version: str
    """`<recipe>+<app>`, from its label or its tag; nothing if neither tells."""
    tag: str
    """The git tag; nothing for files as they lie in the folder."""
    commit: str
    compose_files: tuple[str, ...]
    services: Mapping[str, Service]
    images: tuple[ImageUse, ...]
    secrets: Mapping[str, SecretNeed]
    configs: Mapping[str, ConfigNeed]
    networks: Mapping[str, Network]
    volumes: Mapping[str, Volume]
    backups: tuple[Backup, ...]
    timeout: timedelta | None
    """`coop-cloud.<stack>.timeout`: how long a deploy may take."""
    collisions: tuple[Collision, ...]
    warnings: tuple[Remark, ...]

    def references(self, *, chosen_only: bool = False) -> tuple[str, ...]:
        """Return the distinct image references, in order."""
        wanted = [use.reference for use in self.images if use.chosen or not chosen_only]
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class RecipeFolder:
    """A recipe's folder or repository: the version as it lies there, and the one before it."""

    name: str
    path: Path
    current: RecipeVersion
    previous: RecipeVersion | None
    """What an upgrade starts from: the newest tag before the current one. None: there is none."""
    tags: tuple[str, ...]
    """All tags that are versions, newest first."""

    @property
    def versions(self) -> tuple[RecipeVersion, ...]:
        """Both sides of an upgrade, the current one first."""
        return (self.current, self.previous) if self.previous else (self.current,)
