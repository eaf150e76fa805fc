"""The kinds of values that settings have: how each is read, and how it is shown.

A kind takes the native TOML value or, from the environment and from flags, its text; whatever does
not fit is a `ValueError` of the caller's making, with `expects` as the remedy.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from warminfra.config.urls import require_url
from warminfra.core.acceptance import Acceptance
from warminfra.core.secret import MASK, Secret


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `read` raises `ValueError`; `expects` tells the form that would fit."""

    expects: str
    read: Callable[[Any], Any]
    secret: bool = False
    is_path: bool = False


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)"
_SIZES = {
    "": 1, "b": 1,
    "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
_SIZE = r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)"


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` names: a number and ms, s, m, h or d. Raises `ValueError`."""
    match = re.fullmatch(_DURATION, text.strip())
    if match is None:
        raise ValueError(text)
    try:
        return timedelta(seconds=float(match.group(1)) * _UNITS[match.group(2)])
    except OverflowError:
        raise ValueError(text) from None


def parse_size(text: str) -> int:
    """Return bytes: `512MiB` and `512m` are binary, `512MB` is decimal. Raises `ValueError`."""
    match = re.fullmatch(_SIZE, text.strip())
    if match is None or match.group(2).lower() not in _SIZES:
        raise ValueError(text)
    return int(float(match.group(1)) * _SIZES[match.group(2).lower()])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _duration(value: Any) -> timedelta:
    found = parse_duration(_text(value))
    if not found:
        raise ValueError(value)
    return found


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return parse_size(_text(value))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
        _text(value).lower()
    ]


def _secret(value: Any) -> Secret:
    if not _text(value):
        raise ValueError("empty")
    return Secret(value)


def _path(value: Any) -> Path:
    if not _text(value) or "\0" in value:
        raise ValueError(value)
    return Path(value)


def _off_or_duration(value: Any) -> timedelta:
    return timedelta() if value == "off" else _duration(value)


def _acceptances(value: Any) -> tuple[Acceptance, ...]:
    if not isinstance(value, list):
        raise ValueError(value)
    return tuple(_acceptance(entry) for entry in value)


def _acceptance(entry: Any) -> Acceptance:
    if not isinstance(entry, dict) or entry.keys() != {"channel", "witness", "why", "until"}:
        raise ValueError(entry)
    until = entry["until"]
    if isinstance(until, datetime) or not isinstance(until, date):
        until = date.fromisoformat(_text(until))
    channel, witness, why = (_text(entry[key]).strip() for key in ("channel", "witness", "why"))
    if not (channel and witness and why):
        raise ValueError(entry)
    return Acceptance(channel, witness, why, until)


def _address_or_none(value: Any) -> str:
    return str(ipaddress.IPv4Address(_text(value))) if value else _text(value)


def _addresses(value: Any) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise ValueError(value)
    networks = [ipaddress.ip_network(_text(entry).strip(), strict=False) for entry in entries]
    return tuple(str(one) if one.num_addresses > 1 else str(one[0]) for one in networks)


TEXT = Kind("a text", _text)
ADDRESS_OR_NONE = Kind('an IPv4 address such as "172.17.0.1"', _address_or_none)
ADDRESSES = Kind(
    'addresses or networks, as ["127.0.0.1", "172.18.0.0/16"] or with commas between', _addresses
)
OFF_OR_DURATION = Kind('"off" or a duration such as "1d"', _off_or_duration)
ACCEPTANCES = Kind(
    "tables [[audit.accept]] with channel, witness, why and until (a day such as 2026-12-31), each",
    _acceptances,
)
DURATION = Kind('a duration such as "90s", "30m", "2h" or "7d"', _duration)
SIZE = Kind('a size such as "512MiB" or a number of bytes', _size)
BOOLEAN = Kind("true or false", _boolean)
PATH = Kind("a path", _path, is_path=True)
SECRET = Kind("a text that is not empty", _secret, secret=True)


def choice(*words: str) -> Kind:
    """Return the kind of one out of `words`."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(value)
        return str(value)

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), read)


def integer(least: int, most: int | None = None) -> Kind:
    """Return the kind of whole numbers from `least` to `most`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(value)
        number = int(value)
        if number < least or (most is not None and number > most):
            raise ValueError(value)
        return number

    span = f"of at least {least}" if most is None else f"from {least} to {most}"
    return Kind(f"a whole number {span}", read)


def matching(pattern: str, expects: str) -> Kind:
    """Return the kind of texts that match `pattern` as a whole."""

    def read(value: Any) -> str:
        if not re.fullmatch(pattern, _text(value)):
            raise ValueError(value)
        return str(value)

    return Kind(expects, read)


def web_url(expects: str, *, path: bool = True, any_port: bool = False) -> Kind:
    """Return the kind of http and https URLs, empty for none; see `require_url`."""

    def read(value: Any) -> str:
        if _text(value):
            require_url(value, path=path, any_port=any_port)
        return str(value)

    return Kind(expects, read)


def show(value: Any, kind: Kind) -> str:
    """Return `value` as it would be written; a secret as its mask."""
    if value is None:
        return ""
    if kind.secret or isinstance(value, Secret):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is OFF_OR_DURATION and not value:
        return "off"
    if isinstance(value, timedelta):
        return show_duration(value)
    if kind is ADDRESSES:
        return ",".join(value)
    if kind is ACCEPTANCES:
        return "; ".join(map(str, value)) or "none"
    if kind is SIZE:
        for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value and value % factor == 0:
                return f"{value // factor}{unit}"
    return str(value)


def show_duration(value: timedelta) -> str:
    """Return `value` in the largest unit that takes it whole."""
    millis = round(value.total_seconds() * 1000)
    for unit, factor in (("d", 86400_000), ("h", 3600_000), ("m", 60_000), ("s", 1000)):
        if millis and millis % factor == 0:
            return f"{millis // factor}{unit}"
    return f"{millis}ms"
