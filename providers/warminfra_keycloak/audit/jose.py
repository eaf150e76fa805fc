"""The little of JOSE that the prover needs: signing assertions, checking a token as an app would.

Its own few lines on `cryptography`: what it makes must be under its control to the byte (a fixed
`jti`, a foreign audience), and what it checks must be checked as told, mistakes included.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A signed token in a text."""

Sign = Callable[[bytes], bytes]
Issuers = Callable[[str, str], bool]
"""Says whether the issuer in a token (first) is the one that is trusted (second)."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How an app decides whose token it takes. As it is: of one issuer, by that issuer's keys."""

    same_issuer: Issuers = str.__eq__
    keys_by_token: bool = False
    """It takes the keys of whatever issuer the token names."""


def by_secret(secret: str) -> tuple[str, Sign]:
    """Return algorithm and signer for `client_secret_jwt`."""
    return "HS256", lambda text: hmac.new(secret.encode(), text, hashlib.sha256).digest()


def by_key(key: RSAPrivateKey) -> tuple[str, Sign]:
    """Return algorithm and signer for `private_key_jwt`."""
    return "RS256", lambda text: key.sign(text, PKCS1v15(), SHA256())


@cache
def suite_key() -> RSAPrivateKey:
    """Return the one key of a careless test suite, the same in every lease."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: RSAPrivateKey) -> dict[str, str]:
    """Return the public key as a JWK."""
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}


def signed(claims: Mapping[str, Any], algorithm: str, sign: Sign, **header: Any) -> str:
    """Return the compact form."""
    head = {"alg": algorithm, "typ": "JWT", **header}
    text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    return f"{text}.{_encoded(sign(text.encode()))}"


def issuer_of(token: str) -> str:
    """Return the issuer that a token names, "" if it is none."""
    try:
        return str(claims_of(token).get("iss", ""))
    except (ValueError, IndexError):
        return ""


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, unchecked."""
    found: dict[str, Any] = json.loads(_decoded(token.split(".")[1]))
    return found


def saying(token: str, claims: Mapping[str, Any]) -> str:
    """Return the token with other claims, and the signature that it had."""
    head, _, signature = token.split(".")
    return ".".join((head, _encoded(json.dumps(claims).encode()), signature))


def said(text: str) -> Iterator[str]:
    """Yield what the tokens in a text say, each as JSON."""
    for token in TOKEN.findall(text):
        with suppress(ValueError):
            yield json.dumps(claims_of(token), ensure_ascii=False)


def accepts(
    token: str, keys: Sequence[Mapping[str, Any]], issuer: str, same: Issuers = str.__eq__
) -> bool:
    """Say whether an app that trusts `issuer` and has its JWKS takes the token (RS256)."""
    try:
        head = json.loads(_decoded(token.split(".")[0]))
        claims = claims_of(token)
        text, _, signature = token.rpartition(".")
    except (ValueError, IndexError):
        return False
    if head.get("alg") != "RS256" or not same(str(claims.get("iss")), issuer):
        return False
    if float(claims.get("exp", 0)) < time.time():
        return False
    return any(
        _verified(key, text.encode(), _decoded(signature))
        for key in keys
        if key.get("kid") == head.get("kid") and key.get("kty") == "RSA"
    )


def _verified(key: Mapping[str, Any], text: bytes, signature: bytes) -> bool:
    n, e = (int.from_bytes(_decoded(str(key[part])), "big") for part in "ne")
    try:
        RSAPublicNumbers(e, n).public_key().verify(signature, text, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
