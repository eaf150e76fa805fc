"""What a server says of a template before a tenant is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from warminfra.core.errors import RecipeInvalid
from warminfra.core.models import ServerAccess
from warminfra.core.ports import FitsTemplates
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template
from warminfra.testing.conformance import INSTALLATION
from warminfra_keycloak.provider import KeycloakProvider

_NAMES = (
    "realm clients clientId protocol protocolMappers name protocolMapper displayName loginTheme "
    "eventsListeners requiredActions providerId enabled passwordPolicy authenticationFlows alias "
    "builtIn authenticationExecutions authenticator requirement"
)
KNOWN = frozenset(_NAMES.split())
INFO = {
    "providers": {
        "protocol-mapper": {"providers": {"oidc-sub-mapper": {}}},
        "login-protocol": {"providers": {"openid-connect": {}}},
        "authenticator": {"providers": {"auth-cookie": {}}},
    },
    "passwordPolicies": [{"id": "length"}],
    "themes": {"login": [{"name": "keycloak"}]},
}


def reads(node: Any) -> bool:
    """Read as the server does: no field that is not known, and a name is a text."""
    if isinstance(node, dict):
        return all(key in KNOWN and reads(value) for key, value in node.items()) and isinstance(
            node.get("displayName"), str | None
        )
    return all(map(reads, node)) if isinstance(node, list) else True


class Server:
    """Refuses what it cannot read, and a second master; makes nothing."""

    made = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 60})
        if request.url.path == "/admin/serverinfo":
            return httpx.Response(200, json=INFO)
        body = json.loads(request.content)
        if not reads(body):
            return httpx.Response(400, json={"errorMessage": "unable to read contents"})
        self.made += body["realm"] != "master"
        return httpx.Response(409)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def provider(server: Server) -> Iterator[KeycloakProvider]:
    secrets = dict.fromkeys(("maker_id", "maker_secret", "looker_id", "looker_secret"), Secret("x"))
    access = ServerAccess("http://127.0.0.1:1", secrets)
    with closing(
        KeycloakProvider(access, INSTALLATION, {}, transport=httpx.MockTransport(server))
    ) as made:
        yield made


def template(**base: Any) -> Template:
    return Template("keycloak", "docs", ClientSpec(), base=base)


def test_what_it_takes_is_left_as_it_is(provider: KeycloakProvider, server: Server) -> None:
    """Neither changed nor made; a template without a realm file is not even asked about."""
    assert isinstance(provider, FitsTemplates)
    good = template(displayName="x", clients=[{"clientId": "a", "protocol": "openid-connect"}])
    assert provider.fitted(good) == (good, [])
    assert provider.fitted(template()) == (template(), ())
    assert server.made == 0


def test_what_it_cannot_read_is_named_by_its_place(provider: KeycloakProvider) -> None:
    """The smallest part of it: a field, or a value of the wrong kind; all of them at once."""
    bad = template(displayName=3, clients=[{"clientId": "a"}, {"clientId": "b", "newer": {"x": 1}}])
    with pytest.raises(RecipeInvalid) as caught:
        provider.fitted(bad)
    told = ": the server does not know it, or not with such a value"
    assert caught.value.problems == (
        f"realm_file: displayName{told}",
        f"realm_file: clients[1].newer{told}",
    )


def test_empty_fields_of_a_newer_version_are_left_out(provider: KeycloakProvider) -> None:
    """They say nothing; the template is another one without them, and it is told."""
    newer = template(newer=[], clients=[{"clientId": "a", "alsoNewer": False}])
    fitted, lines = provider.fitted(newer)
    assert fitted.base == {"clients": [{"clientId": "a"}]}
    assert fitted.hash != newer.hash
    assert lines == [
        "newer: the server does not know it",
        "clients[0].alsoNewer: the server does not know it",
    ]


def flow(*, built_in: bool, requirement: str = "REQUIRED") -> dict[str, Any]:
    step = {"authenticator": "acme-otp", "requirement": requirement}
    return {"alias": "mine", "builtIn": built_in, "authenticationExecutions": [step]}


def test_providers_that_it_would_fail_on_are_refused(provider: KeycloakProvider) -> None:
    """A protocol, a step of an own flow, a rule of the password policy."""
    with pytest.raises(RecipeInvalid) as caught:
        provider.fitted(
            template(
                clients=[{"clientId": "a", "protocol": "acme"}],
                authenticationFlows=[flow(built_in=False)],
                passwordPolicy="length(8) and acme(3)",
            )
        )
    assert [line.split(": the server has no")[0] for line in caught.value.problems] == [
        "realm_file: clients: a: protocol: 'acme'",
        "realm_file: authenticationFlows: mine: 'acme-otp'",
        "realm_file: passwordPolicy: 'acme'",
    ]


def test_providers_that_it_does_without_are_told(provider: KeycloakProvider) -> None:
    """Mapper, required action, listener, theme, a step of a built-in flow; none that is off."""
    lines = provider.fitted(
        template(
            clients=[{"clientId": "a", "protocolMappers": [{"protocolMapper": "acme"}]}],
            requiredActions=[
                {"providerId": "acme-terms", "enabled": True},
                {"providerId": "acme-off", "enabled": False},
            ],
            eventsListeners=["acme-log"],
            loginTheme="acme-look",
            authenticationFlows=[
                flow(built_in=True),
                flow(built_in=False, requirement="DISABLED"),
            ],
        )
    )[1]
    assert [line.partition(":")[0] for line in lines] == [
        "mapper acme",
        "required action acme-terms",
        "event listener acme-log",
        "login theme acme-look",
        "step acme-otp of flow mine",
    ]
