"""A login through the server's login page, without a browser: the code flow by plain requests."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

_PAGES = 4
"""Forms at most: name, password, consent."""
_FORM = re.compile(r'<form[^>]*\baction="([^"]+)"')
_MESSAGE = re.compile(r'(?s)id="(?:input-error[^"]*|kc-error-message)"[^>]*>(.*?)</')


class _Browser:
    """Gives secure cookies back over plain HTTP, as browsers do on loopback; libraries do not."""

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=20.0)
        self._cookies: SimpleCookie = SimpleCookie()

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        crumbs = "; ".join(f"{name}={crumb.value}" for name, crumb in self._cookies.items())
        options.setdefault("headers", {})["Cookie"] = crumbs
        answer = self._http.request(method, url, **options)
        self._http.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            self._cookies.load(line)
        return answer

    def close(self) -> None:
        self._http.close()


def log_in(document: dict[str, Any], user: dict[str, Any], redirect: str) -> str:
    """Log `user` in at a lease's tenant; return what went wrong, nothing if all went well.

    Checked are issuer and audience of the ID token, and that the access token is good for the user
    info.
    """
    browser = _Browser()
    try:
        return _log_in(browser, document, user, redirect)
    finally:
        browser.close()


def _log_in(
    browser: _Browser, document: dict[str, Any], user: dict[str, Any], redirect: str
) -> str:
    client, endpoints = document["client"], document["endpoints"]
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "client_id": client["id"],
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": redirect,
        "state": secrets.token_hex(8),
        "nonce": secrets.token_hex(8),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    page = browser.send("GET", endpoints["authorization"], params=query)
    form = {"username": user["username"], "password": user["password"], "credentialId": ""}
    for _ in range(_PAGES):
        fields = {"accept": "Yes"} if 'name="accept"' in page.text else form
        found = _FORM.search(page.text)
        if page.status_code != 200 or found is None:
            break
        page = browser.send("POST", html.unescape(found[1]), data=fields)
        if page.is_redirect and "/login-actions/" in page.headers["location"]:
            page = browser.send("GET", page.headers["location"])
    answer = parse_qs(urlsplit(page.headers.get("location", "")).query)
    if answer.get("error") == ["unauthorized_client"]:
        return _by_password(browser, document, user)
    if "code" not in answer:
        told = _MESSAGE.search(page.text)
        words = " ".join(re.sub(r"<[^>]+>", "", told[1]).split()) if told else ""
        return f"no code: {page.status_code} {page.headers.get('location', '')[:120]} {words}"
    tokens = browser.send(
        *("POST", endpoints["token"]),
        data={
            "grant_type": "authorization_code",
            "code": answer["code"][0],
            "redirect_uri": redirect,
            "client_id": client["id"],
            "client_secret": client["secret"],
            "code_verifier": verifier,
        },
    )
    if tokens.status_code != 200:
        return f"no token: {tokens.status_code} {tokens.text[:200]}"
    claims = _claims(tokens.json()["id_token"])
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims["iss"] != document["issuer"] or client["id"] not in audience:
        return f"issuer {claims['iss']}, audience {claims['aud']}"
    bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    known = browser.send("GET", endpoints["userinfo"], headers=bearer)
    if known.status_code != 200:
        return f"no user info: {known.status_code} {known.headers.get('www-authenticate', '')}"
    return ""


def _by_password(browser: _Browser, document: dict[str, Any], user: dict[str, Any]) -> str:
    """Log in without a page: the export's client is one that may not show any."""
    form = {
        "grant_type": "password",
        "scope": "openid",
        "client_id": document["client"]["id"],
        "client_secret": document["client"]["secret"],
        "username": user["username"],
        "password": user["password"],
    }
    tokens = browser.send("POST", document["endpoints"]["token"], data=form)
    return (
        "" if tokens.status_code == 200 else f"no token: {tokens.status_code} {tokens.text[:200]}"
    )


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
