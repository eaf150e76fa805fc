"""Wakes whoever waits for work, however many wait, and loses no ring."""

from __future__ import annotations

import threading


class Bell:
    """A counter of rings that threads can wait on."""

    def __init__(self) -> None:
        self._rings = 0
        self._changed = threading.Condition()

    def ring(self) -> None:
        """Wake all that wait."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def wait(self, heard: int, timeout: float) -> int:
        """Return the count once it is not `heard`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings != heard, timeout)
            return self._rings
