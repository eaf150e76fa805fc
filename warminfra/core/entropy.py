"""The one source of randomness.

Everything unguessable (ids, secrets, passwords, jitter) is drawn from an `Entropy`, so that a test
can replay a run and a reviewer finds every draw in one place. The product uses `SystemEntropy`.
"""

from __future__ import annotations

import random
import secrets
from typing import Protocol

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters: five bits each, none of them easily taken for another, safe in names and URLs."""

SECRET_LENGTH = 32
"""Characters of a leased secret or password: 160 bits."""


class Entropy(Protocol):
    """Draws of unpredictable values."""

    def token(self, length: int) -> str:
        """Return `length` characters of `ALPHABET`, five bits of entropy each."""
        ...

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter."""
        ...


class SystemEntropy:
    """The operating system's generator."""

    def token(self, length: int) -> str:
        return "".join(ALPHABET[byte & 31] for byte in secrets.token_bytes(length))

    def fraction(self) -> float:
        return secrets.randbits(53) / (1 << 53)


class SeededEntropy:
    """A replayable source for tests and simulations. Never for a secret that guards anything."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, length: int) -> str:
        return "".join(self._random.choice(ALPHABET) for _ in range(length))

    def fraction(self) -> float:
        return self._random.random()
