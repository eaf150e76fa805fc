"""What a lazy program makes secrets of: public facts, and what is commonly done to them.

A dictionary of derivations is no proof that a secret is random; it is what an attacker who has read
the code of a bad tool would try first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import uuid
from collections.abc import Iterator, Mapping
from itertools import permutations

FLOOR = 96.0
"""Bits by `spread` below which a secret is no secret. One of ours has 160 and shows 110 to 160."""

_ENOUGH = 16
"""Characters of a digest that give a derivation away; digests are often cut."""

_HASHES = ("md5", "sha1", "sha256", "sha512")
_JOINTS = ("", "-", ":", "/", ".")


def spread(secret: str) -> float:
    """Return the bits that a text of this length and these characters could have at most."""
    return len(secret) * math.log2(max(len(set(secret)), 1))


def guessable(secret: str) -> bool:
    """Say whether the secret is empty, masked, or too short to be one."""
    return spread(secret) < FLOOR


def derivations(facts: Mapping[str, str]) -> dict[str, str]:
    """Return beginnings of what can be made of the facts, with what each is made of."""
    found: dict[str, str] = {}
    for names, text in _texts(facts):
        for how, made in _made(text):
            found.setdefault(made[:_ENOUGH], f"{how}({', '.join(names)})")
    for (key, secret), (name, text) in permutations(facts.items(), 2):
        made = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        found.setdefault(made[:_ENOUGH], f"hmac({key}, {name})")
    return found


def _texts(facts: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, text in facts.items():
        yield (name,), text
    for (one, first), (two, second) in permutations(facts.items(), 2):
        for joint in _JOINTS:
            yield (one, two), first + joint + second


def _made(text: str) -> Iterator[tuple[str, str]]:
    data = text.encode()
    for name in _HASHES:
        digest = hashlib.new(name, data, usedforsecurity=False).digest()
        yield name, digest.hex()
        yield f"{name}, base64", base64.b64encode(digest).decode()
        yield f"{name}, base64url", base64.urlsafe_b64encode(digest).decode()
        yield f"{name}, base32", base64.b32encode(digest).decode().lower()
    if len(text) >= _ENOUGH:
        yield "the text itself", text
        yield "reversed", text[::-1]
    yield "base64", base64.b64encode(data).decode().ljust(_ENOUGH, "=")
    for space in (uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL, uuid.NAMESPACE_OID):
        yield "uuid5", str(uuid.uuid5(space, text))
        yield "uuid5", uuid.uuid5(space, text).hex
