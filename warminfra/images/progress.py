"""What a pre-pull tells while it goes on, and what it measured: bytes by layer, not lines.

Layers that several images share are counted once, for the image that met them first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from warminfra.core.engine import PullEvent
from warminfra.images.registry import Layer

COMING = frozenset({"Pulling fs layer", "Waiting", "Downloading"})
COMPLETE = frozenset({"Download complete", "Extracting", "Pull complete"})
_SHORT = slice(len("sha256:"), len("sha256:") + 12)
"""The part of a layer's digest by which the engine's progress calls it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One image's way here, in seconds and compressed bytes.

    Download and extraction overlap: each lasts from its first line to its last.
    """

    name: str
    bytes: int
    resolve_s: float
    download_s: float
    extract_s: float
    total_s: float
    tries: int = 1


@dataclass(slots=True)
class Tally:
    """One image being pulled. Fed by one thread."""

    claimed: dict[str, int] = field(default_factory=dict)
    """Layers that this image was the first to download, with bytes done."""
    _download: list[float] = field(default_factory=list)
    _extract: list[float] = field(default_factory=list)
    _coming: set[str] = field(default_factory=set)
    """Layers that the engine has named and does not have whole."""

    @property
    def downloaded(self) -> bool:
        """Whether every layer is here, unpacked or not: the line is free for another image."""
        return bool(self._download) and not self._coming

    def download_s(self) -> float:
        return self._download[-1] - self._download[0] if self._download else 0.0

    def extract_s(self) -> float:
        return self._extract[-1] - self._extract[0] if self._extract else 0.0

    def note(self, event: PullEvent, now: float) -> None:
        """Take the times of an event, and what it says of its layer."""
        if event.status in COMING:
            self._coming.add(event.layer)
        elif event.status in COMPLETE or event.status == "Already exists":
            self._coming.discard(event.layer)
        if event.status in ("Downloading", "Download complete", "Verifying Checksum"):
            self._download.append(now)
        elif event.status in ("Extracting", "Pull complete"):
            self._extract.append(now)


class PullProgress:
    """All images of one pre-pull. `told` is called with bytes done and bytes in all."""

    def __init__(self, layers: Iterable[Layer], told: Callable[[int, int, str], None]) -> None:
        self._sizes = {layer.digest[_SHORT]: layer.size for layer in layers}
        self._done: dict[str, int] = {}
        self._first: dict[str, str] = {}
        self._told = told
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """Return the bytes that all have to download."""
        return sum(self._sizes.values())

    def heard(self, name: str, tally: Tally, event: PullEvent) -> None:
        """Take one line of the pull of `name`."""
        tally.note(event, time.monotonic())
        size = self._sizes.get(event.layer)
        if size is None:
            return
        complete = event.status in COMPLETE
        done = size if complete else event.current if event.status == "Downloading" else 0
        with self._lock:
            if done and self._first.setdefault(event.layer, name) == name:
                tally.claimed[event.layer] = size
            if done > self._done.get(event.layer, 0):
                self._done[event.layer] = min(done, size)
            now = sum(self._done.values())
        self._told(now, self.total, name)
