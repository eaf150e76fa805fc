"""Tells a waiting person what is waited for, once it takes longer than a second.

On a terminal one line that is rewritten; elsewhere one plain line for each phase. No thread: `exec`
forks after it has waited.
"""

from __future__ import annotations

import os
import sys
import time

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_QUIET = 1.0
"""Seconds without a word."""


class Progress:
    """Use as a context: the line is gone at its end."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._frame = 0
        self._told = ""
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def update(self, phase: str) -> None:
        """Say what is waited for now. To be called often."""
        waited = time.monotonic() - self._started
        if waited < _QUIET:
            return
        if self._live:
            self._frame += 1
            frame = _FRAMES[self._frame % len(_FRAMES)]
            if not os.environ.get("NO_COLOR"):
                frame = f"\x1b[36m{frame}\x1b[0m"
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            line = f"{phase} ({waited:.0f} s)"[: max(width - 3, 1)]
            print(f"\r{frame} {line}\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = True
        elif phase != self._told:
            self._told = phase
            print(f"warminfra: {phase}", file=sys.stderr, flush=True)
