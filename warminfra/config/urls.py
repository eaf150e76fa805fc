"""What counts as a URL in a setting.

Invariant: what is taken here, whoever connects there takes as well. The HTTP client meets a
malformed one with an exception of its own, late, and far from the line where it stands.
"""

from __future__ import annotations

import ipaddress
import re

_URL = re.compile(
    r"https?://"
    r"(?:\[(?P<six>[^\s\[\]/?#@{}]+)\]|(?P<name>[^\s\[\]:/?#@{}]+))"
    r"(?::(?P<port>[0-9]{1,5}|\{port\}))?"
    r"(?P<path>/[^\s?#@{}]*)?"
)
_FOUR = re.compile(r"[0-9]+(\.[0-9]+){3}")
_LABEL = 63
"""Characters of one part of a host name, at most."""


def require_url(text: str, *, path: bool = True, any_port: bool = False) -> None:
    """Raise `ValueError` unless `text` is an http or https URL of a host that can be looked up.

    It has no user, query or fragment, and with `path` false no path; with `any_port`, `{port}` may
    stand for its port.
    """
    found = _URL.fullmatch(text)
    if found is None or not text.isprintable():
        raise ValueError(text)
    if found["path"] and not path:
        raise ValueError(text)
    if found["port"] == "{port}":
        if not any_port:
            raise ValueError(text)
    elif found["port"] and not 0 < int(found["port"]) < 1 << 16:
        raise ValueError(text)
    if found["six"]:
        ipaddress.IPv6Address(found["six"])
    elif _FOUR.fullmatch(found["name"]):
        ipaddress.IPv4Address(found["name"])
    else:
        _require_name(found["name"])


def _require_name(name: str) -> None:
    if not name.isascii() or "xn--" in name.lower():
        import idna  # only such a name needs it, and httpx asks it too

        name = idna.encode(name.lower()).decode()
        idna.decode(name)
    if not all(0 < len(label) <= _LABEL for label in name.removesuffix(".").split(".")):
        raise ValueError(name)
