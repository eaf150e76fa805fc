"""What a container engine tells us: its images, its containers, the objects of its stacks.

Frozen values. Sizes are bytes, times aware UTC datetimes, digests `sha256:` and 64 hex digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

STACK_LABEL = "com.docker.stack.namespace"
"""Swarm's own label that says to which stack an object belongs, on every object of it."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine itself."""

    id: str
    version: str
    platform: str
    """`os/architecture` in the words of image manifests: linux/amd64, linux/arm64."""
    root: str
    """Folder of its images, on its own host."""
    swarm_manager: bool
    insecure: tuple[str, ...] = ()
    """Registries, or networks of them, that it talks to without TLS."""
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image in the engine's store."""

    id: str
    """Digest of its configuration."""
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    """`repository@sha256:…`: what an engine accepts without asking a registry."""
    size: int
    """Unpacked, all layers, those shared with others included."""
    layers: tuple[str, ...] = ()
    """Digests of its unpacked layers, lowest first: equal beginnings are shared on the disk."""
    layer_sizes: tuple[int, ...] = ()
    """Unpacked bytes of each layer."""


@dataclass(frozen=True, slots=True)
class LocalContainer:
    """A container in whatever state."""

    id: str
    image: str
    """Id of its image."""
    running: bool
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PullEvent:
    """One line of a pull's progress. `layer` is empty for lines about the whole image."""

    layer: str
    status: str
    current: int = 0
    total: int = 0


class StackKind(StrEnum):
    """What a stack is made of, in the order in which it is taken down."""

    SERVICE = "service"
    TASK = "task"
    """A container of a service: goes by itself once its service is gone."""
    NETWORK = "network"
    SECRET = "secret"  # noqa: S105 - a kind of object
    CONFIG = "config"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class StackObject:
    """One object that carries a stack's label."""

    kind: StackKind
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunningImage:
    """What one service of a stack was told to run, and what its newest container runs."""

    service: str
    told: str
    """The image of the service's specification: a reference, with a digest once resolved."""
    runs: str
    """Id of the image of its newest container, "" if there is none on this node."""
