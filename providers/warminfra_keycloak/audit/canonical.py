"""Takes out of an answer what differs from call to call and tells an attacker nothing.

What stays: status, names of fields, error codes and texts, title and visible text of pages, names
of cookies, path and parameter names of a redirect. A test feeds it pairs that must, and must not,
be told apart.
"""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from warminfra.core.audit import Reply
from warminfra_keycloak.audit.jose import TOKEN

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TENANT = re.compile(r"wi-[a-z2-9]{8}-[a-z2-9]+")
_LEASE = re.compile(r"\b[a-z2-9]{8}-[a-z2-9]{20,}\b")
_OPAQUE = re.compile(r"(?<![\w-])(?=[\w-]*\d)[\w-]{24,}(?![\w-])")
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.S)
_FORM = re.compile(r'<form id="([^"]+)"')

_RANDOM = frozenset({"session_state", "sid"})
"""Random in every answer, and now and then without a digit."""
_TIMES = frozenset({"exp", "iat", "auth_time", "nbf", "expires_in", "refresh_expires_in", "time"})
_MOMENTS = (range(10**9, 10**10), range(10**12, 10**13))
"""Numbers that are moments, from 2001 to 2286, in seconds or milliseconds. Fields with them have
many names (`started`, `lastAccess`, `timestamp`, `createdTimestamp`); two answers within one second
are equal by chance, and the third is not."""


def canonical(response: httpx.Response) -> Reply:
    """Return the canonical answer."""
    parts = [_body(response)]
    if "location" in response.headers:
        parts.append("→ " + _location(response.headers["location"]))
    if "www-authenticate" in response.headers:
        parts.append("auth " + scrub(response.headers["www-authenticate"]))
    cookies = sorted({cookie.name for cookie in response.cookies.jar if cookie.value})
    if cookies:
        parts.append("cookies " + " ".join(cookies))
    told = frozenset(_TENANT.findall(response.text))
    return Reply(response.status_code, " | ".join(part for part in parts if part), told)


def scrub(text: str) -> str:
    """Replace tokens, ids and names of tenants by what they are."""
    for pattern, name in (
        (TOKEN, "JWT"),
        (_UUID, "ID"),
        (_TENANT, "TENANT"),
        (_LEASE, "LEASE"),
        (_OPAQUE, "OPAQUE"),
    ):
        text = pattern.sub(name, text)
    return text


def _body(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "")
    if "json" in kind:
        try:
            return json.dumps(_json(response.json()), sort_keys=True)
        except ValueError:
            return "broken JSON"
    if "html" in kind:
        title = _TITLE.search(response.text)
        seen = " ".join(unescape(_UNSEEN.sub(" ", response.text)).split())
        forms = _FORM.findall(response.text)
        heading = scrub(title.group(1).strip()) if title else ""
        return f"page {heading!r} forms {forms} says {scrub(seen)!r}"
    return scrub(response.text)


def _json(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _json(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner, key) for inner in value]
    if key in _TIMES:
        return "TIME"
    if isinstance(value, int) and any(value in moments for moments in _MOMENTS):
        return "TIME"
    if key in _RANDOM and value:
        return "OPAQUE"
    if key == "scope" and isinstance(value, str):
        return " ".join(sorted(value.split()))  # a set, in whatever order it comes
    return scrub(value) if isinstance(value, str) else value


def _location(url: str) -> str:
    parts = urlsplit(url)
    query = {**parse_qs(parts.query), **parse_qs(parts.fragment)}
    shown = [
        f"{name}={query[name][0]}" if name.startswith("error") else name for name in sorted(query)
    ]
    return scrub(parts.path) + "?" + "&".join(shown)
