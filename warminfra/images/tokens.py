"""Logs in to registries: Basic, or a bearer token from the server that the registry names.

A token is kept for its registry and scope until the registry refuses it. It is in no log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from warminfra.core.errors import RegistryRefused
from warminfra.core.secret import Secret

_FIELD = re.compile(r'(\w+)="([^"]*)"')


@dataclass(slots=True)
class Tokens:
    """The headers that registries accept, by registry and scope."""

    _headers: dict[tuple[str, str], Secret] = field(default_factory=dict)

    def header(self, registry: str, scope: str) -> dict[str, str]:
        """Return the header that worked last, or none."""
        known = self._headers.get((registry, scope))
        return {"Authorization": known.reveal()} if known else {}

    def renew(
        self,
        client: httpx.Client,
        refusal: httpx.Response,
        registry: str,
        scope: str,
        login: Mapping[str, Secret],
    ) -> dict[str, str]:
        """Do what the 401 of `refusal` asks for. Raises `RegistryRefused` if we cannot."""
        challenge = refusal.headers.get("WWW-Authenticate", "")
        kind, _, rest = challenge.partition(" ")
        asked = dict(_FIELD.findall(rest))
        if kind.lower() == "bearer" and "realm" in asked:
            made = f"Bearer {self._fetch(client, asked, scope, login)}"
        elif kind.lower() == "basic" and "username" in login:
            made = _basic(login)
        else:
            raise RegistryRefused(f"{registry} wants a login", hint="`docker login` to it")
        self._headers[(registry, scope)] = Secret(made)
        return {"Authorization": made}

    def _fetch(
        self,
        client: httpx.Client,
        asked: Mapping[str, str],
        scope: str,
        login: Mapping[str, Secret],
    ) -> str:
        wish = {"service": asked.get("service", ""), "scope": asked.get("scope", scope)}
        if "identitytoken" in login:
            token = login["identitytoken"].reveal()
            form = {**wish, "grant_type": "refresh_token", "refresh_token": token}
            answer = client.post(asked["realm"], data={**form, "client_id": "warminfra"})
        else:
            header = {"Authorization": _basic(login)} if "username" in login else {}
            answer = client.get(asked["realm"], params=wish, headers=header)
        if answer.status_code in (400, 401, 403):
            raise RegistryRefused(
                f"{asked['realm']} refused the login ({answer.status_code})",
                hint="`docker login` again",
            )
        answer.raise_for_status()
        document = answer.json()
        return str(document.get("token") or document.get("access_token") or "")


def _basic(login: Mapping[str, Secret]) -> str:
    header = httpx.BasicAuth(login["username"].reveal(), login["password"].reveal())
    request = next(header.auth_flow(httpx.Request("GET", "http://registry")))
    return str(request.headers["Authorization"])
