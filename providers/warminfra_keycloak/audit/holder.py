"""What a holder can get out of its lease: the authorization-code flow, by form and by cookie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from warminfra.core.errors import Unreachable
from warminfra.core.models import JsonObject

_ACTION = re.compile(r'<form id="kc-form-login"[^>]*action="([^"]+)"')
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
COOKIES = ("KEYCLOAK_IDENTITY", "KEYCLOAK_SESSION", "AUTH_SESSION_ID")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A browser after a login: its cookies, and the code that came with it."""

    cookies: dict[str, str]
    code: str


def redirect_of(lease: JsonObject) -> str:
    """Return a redirect URI that the lease's client accepts."""
    return str(lease.get("redirect_uri") or f"https://{lease['domain']}/callback")


def asks(lease: JsonObject, scope: str = "openid", **more: str) -> dict[str, str]:
    """Return the query of an authorization request of the lease's app."""
    return {
        "client_id": lease["client"]["id"],
        "redirect_uri": redirect_of(lease),
        "response_type": "code",
        "scope": scope,
        "state": "s",
        **more,
    }


def fill_in(
    http: httpx.Client, page: httpx.Response, username: str, password: str
) -> httpx.Response | None:
    """Send the login form of a page; None if it has none."""
    action = _ACTION.search(page.text)
    if action is None:
        return None
    return http.post(
        unescape(action.group(1)),
        data={"username": username, "password": password},
        headers={"Cookie": header(cookies_of(page))},
    )


def login(http: httpx.Client, lease: JsonObject, scope: str = "openid") -> LoggedIn:
    """Log the lease's first user in by the form. Raises `Unreachable` if the flow breaks off."""
    page = http.get(lease["endpoints"]["authorization"], params=asks(lease, scope))
    answer = _entered(http, lease, page)
    code = code_in(answer)
    if not code:
        raise Unreachable(f"no code from the login at {lease['tenant']}: {answer.status_code}")
    return LoggedIn({**cookies_of(page), **cookies_of(answer)}, code)


def login_answer(http: httpx.Client, lease: JsonObject, query: Mapping[str, str]) -> httpx.Response:
    """Return the answer to the login form of an authorization request of one's own."""
    page = http.get(lease["endpoints"]["authorization"], params=dict(query))
    return _entered(http, lease, page)


def _entered(http: httpx.Client, lease: JsonObject, page: httpx.Response) -> httpx.Response:
    user = lease["users"][0]
    answer = fill_in(http, page, user["username"], user["password"])
    if answer is None:
        raise Unreachable(f"no login form at {lease['tenant']}: {page.status_code}")
    return answer


def tokens(http: httpx.Client, lease: JsonObject, code: str) -> dict[str, Any]:
    """Redeem a code at its own tenant."""
    answer = http.post(
        lease["endpoints"]["token"],
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_of(lease),
            "client_id": lease["client"]["id"],
            "client_secret": lease["client"]["secret"],
        },
    )
    if answer.status_code != httpx.codes.OK:
        raise Unreachable(f"{lease['tenant']} redeems no code: {answer.status_code}")
    found: dict[str, Any] = answer.json()
    return found


def form_of(page: httpx.Response) -> str | None:
    """Return the address of the form of a page, None if it has none."""
    found = _FORM.search(page.text)
    return str(page.url.join(unescape(found.group(1)))) if found else None


def hidden_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of a page's forms."""
    return {name: unescape(value) for name, value in _HIDDEN.findall(page.text)}


def code_in(answer: httpx.Response) -> str:
    """Return the code that a redirect carries, or ""."""
    location: str = answer.headers.get("location", "")
    return parse_qs(urlsplit(location).query).get("code", [""])[0]


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Return the cookies that an answer sets. Read by hand: they are Secure, the server is not."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        found[name] = value
    return found


def header(cookies: Mapping[str, str]) -> str:
    """Return the Cookie header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
