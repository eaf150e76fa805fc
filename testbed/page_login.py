"""A login through the server's login page, without a browser: the code flow by plain requests."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

_FORM = re.compile(r'<form[^>]*\baction="([^"]+)"')
_MESSAGE = re.compile(
    r"(?s)<span[^>]*(?:kc-feedback-text|pf-m-error|input-error)[^>]*>(.*?)</span>"
)


def log_in(document: dict[str, Any], user: dict[str, Any], redirect: str) -> str:
    """Log `user` in at a lease's tenant; return what went wrong, nothing if all went well.

    Checked are issuer, audience and name in the ID token, and that the access token is good for
    the user info.
    """
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "client_id": document["client"]["id"],
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": redirect,
        "state": secrets.token_hex(8),
        "nonce": secrets.token_hex(8),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with httpx.Client(timeout=20.0) as browser:
        page = browser.get(document["endpoints"]["authorization"], params=query)
        form = {"username": user["username"], "password": user["password"], "credentialId": ""}
        for fields in (form, {"accept": "Yes"}):  # a consent page may follow
            found = _FORM.search(page.text)
            if page.status_code != 200 or found is None:
                break
            page = browser.post(html.unescape(found[1]), data=fields)
        answer = parse_qs(urlsplit(page.headers.get("location", "")).query)
        if "code" not in answer:
            told = _MESSAGE.search(page.text)
            return f"no code: {page.status_code} {answer or (told and told[1].strip()) or ''}"
        tokens = browser.post(
            document["endpoints"]["token"],
            data={
                "grant_type": "authorization_code",
                "code": answer["code"][0],
                "redirect_uri": redirect,
                "client_id": document["client"]["id"],
                "client_secret": document["client"]["secret"],
                "code_verifier": verifier,
            },
        )
        if tokens.status_code != 200:
            return f"no token: {tokens.status_code} {tokens.text[:200]}"
        claims = _claims(tokens.json()["id_token"])
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims["iss"] != document["issuer"] or document["client"]["id"] not in audience:
            return f"issuer {claims['iss']}, audience {claims['aud']}"
        bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
        told = browser.get(document["endpoints"]["userinfo"], headers=bearer)
        if told.status_code != 200:
            return f"no user info: {told.status_code} {told.headers.get('www-authenticate', '')}"
    return ""


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
