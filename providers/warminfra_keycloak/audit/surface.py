"""Keycloak as the prover sees it. Works on scratch servers, which keep an auditor's identity.

Invariant: what a credential is tried with is what its holder has; the auditor's identity serves
the looks (keys, digest, inventory) and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
from keycloak.urls_patterns import (
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_KEYS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE,
    URL_ADMIN_REALMS,
    URL_ADMIN_USERS,
)

from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import OutcomeUnknown, ProviderRefused, Unreachable
from warminfra.core.models import JsonObject, ServerAccess
from warminfra.core.secret import Secret
from warminfra_keycloak.audit import cells as places
from warminfra_keycloak.audit import contents, egress, furnish, jose, kinds, marks
from warminfra_keycloak.audit.artifacts import FOR_NOBODY, MINTS, Means, service_token
from warminfra_keycloak.audit.browser import Profile
from warminfra_keycloak.audit.canonical import canonical, scrub
from warminfra_keycloak.audit.fresh import fresh
from warminfra_keycloak.audit.holder import (
    asks,
    code_in,
    fill_in,
    header,
    login,
    redirect_of,
    tokens,
)
from warminfra_keycloak.audit.host import facts_of, placeholders
from warminfra_keycloak.audit.once import USES
from warminfra_keycloak.audit.target import Target, public_request
from warminfra_keycloak.audit.wire import Wire, forgetful, realm_in
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection

AUDITOR = "auditor"
_MASTER = {"realm-name": "master"}


class KeycloakSurface:
    """`AuditSurface` of one scratch server."""

    def __init__(self, access: ServerAccess) -> None:
        self._base, self._access = access.url, access
        self._facts: Mapping[str, str] = {}
        self.wire = Wire(access.ca_file)
        self.trust = jose.Trust()
        """How the apps that trust a realm look at a token; a mutant plants another way."""
        self._http = forgetful(self.wire)
        self._means: dict[str, Means] = {}
        self._admin = AdminConnection(
            access.base_url,
            access.identity[f"{AUDITOR}_id"].reveal(),
            access.identity[f"{AUDITOR}_secret"],
            ca_file=access.ca_file,
        )
        self._entropy = SystemEntropy()

    # ------------------------------------------------------------ what a holder has

    def fresh(self, lease: JsonObject) -> JsonObject:
        """Copy the lease's client and users under other names and secrets, in the same realm."""
        return fresh(self._admin, self._entropy, realm_of(lease), lease)

    def mint(self, lease: JsonObject) -> Sequence[Credential]:
        """Log in twice (once for an offline token) and return all that came of it."""
        client = _client(lease)
        browser = login(self._http, lease)
        found = tokens(self._http, lease, browser.code)
        offline = login(self._http, lease, "openid offline_access")
        lasting = tokens(self._http, lease, offline.code)
        tenant = lease["tenant"]
        cookies = {name: Secret(value) for name, value in browser.cookies.items()}
        credentials = [
            Credential(kinds.ACCESS, tenant, Secret(found["access_token"]), client),
            Credential(kinds.REFRESH, tenant, Secret(found["refresh_token"]), client),
            Credential(kinds.ID, tenant, Secret(found["id_token"]), client),
            Credential(kinds.OFFLINE, tenant, Secret(lasting["refresh_token"]), client),
            Credential(kinds.SECRET, tenant, Secret(lease["client"]["secret"]), client),
            Credential(kinds.COOKIE, tenant, cookies["KEYCLOAK_IDENTITY"], cookies),
            self._code(lease, cookies),
        ]
        credentials += [
            Credential(
                kinds.PASSWORD,
                tenant,
                Secret(user["password"]),
                {**client, "username": Secret(user["username"])},
            )
            for user in lease["users"][:1]
        ]
        with suppress(ProviderRefused):
            token = Secret(service_token(self._http, lease))
            credentials.append(Credential(kinds.SERVICE, tenant, token, client))
        if "admin" in lease:
            credentials += self._of_admin(lease, client)
        return credentials

    def again(self, credential: Credential, lease: JsonObject) -> Credential:
        """Return a fresh artifact of the same kind; what can be used twice is its own twin."""
        if not credential.one_shot:
            return credential
        cookies = {name: secret for name, secret in credential.context.items() if name.isupper()}
        if credential.kind == kinds.CODE and cookies:
            return self._code(lease, cookies)
        return self.artifact(credential.kind, lease)

    def artifacts(self) -> Sequence[str]:
        """Return every kind of one-shot artifact that Keycloak knows."""
        return kinds.ONE_SHOT

    def artifact(self, kind: str, lease: JsonObject) -> Credential:
        """Return a fresh one. Raises `ProviderRefused` if the tenant has none, with the reason."""
        return MINTS[kind](self._http, lease, self._means.get(lease["id"], Means()))

    def once(self) -> Sequence[str]:
        """Return the kinds of values that a client chooses and that a server may remember."""
        return tuple(USES)

    def use(self, kind: str, value: str, lease: JsonObject) -> Reply:
        """Make the legal call with that value. Raises `ProviderRefused` if the tenant cannot."""
        means = self._means.get(lease["id"], Means())
        return canonical(USES[kind](self._http, lease, means, value))

    def furnished(self, lease: JsonObject) -> JsonObject:
        """Return the lease after its own admin has made the clients of a careless test suite."""
        furnished, signer = furnish.fixed_clients(self._http, lease, self._entropy)
        before = self._means.get(lease["id"], Means())
        self._means[lease["id"]] = replace(before, jwt_client=signer)
        return furnished

    def with_mail(self, lease: JsonObject, port: int, box: furnish.MailBox) -> None:
        """Let the tenant send mail to a sink at that port of loopback, as a template may."""
        user = str(lease["users"][0]["username"])
        ask = furnish.mail(self._admin, realm_of(lease), user, port, box)
        before = self._means.get(lease["id"], Means())
        self._means[lease["id"]] = replace(before, ask_for_mail=ask)

    def never_valid(self, credential: Credential) -> Credential:
        """Return one of the same form: the signature of another, or other random characters."""
        value = credential.value.reveal()
        context = {
            name: Secret(_forged(secret.reveal(), self._entropy))
            if credential.kind == kinds.COOKIE or name.startswith("cookie ")
            else secret
            for name, secret in credential.context.items()
        }
        forged = context.get(FOR_NOBODY) or Secret(_forged(value, self._entropy))
        return replace(credential, value=forged, context=context)

    # ------------------------------------------------------------ trying it

    def cells(self, kind: str) -> Sequence[Cell]:
        return places.cells(kind)

    def known_cells(self) -> Sequence[Cell]:
        """Return every cell that there is, of every kind, minted here or not."""
        return [cell for kind in kinds.ALL for cell in places.cells(kind)]

    def lacking(self, minted: Set[str]) -> Mapping[str, str]:
        """Return every lasting kind beyond those, with the reason why a lease may not yield it."""
        return {kind: why for kind, why in kinds.WHY_NOT.items() if kind not in minted}

    def attempt(self, cell: Cell, credential: Credential, target: JsonObject | None) -> Reply:
        """Send it. Raises `OutcomeUnknown` if no answer comes."""
        realm = realm_of(target) if target else "master"
        place = Target(self._base, realm, target)
        try:
            if cell.endpoint == places.LOGIN_FORM:
                return self._by_form(credential, place)
            if cell.endpoint == places.RESOURCE_SERVER:
                return self._at_app(credential, place)
            return self._reply(self._http.send(places.request(self._http, cell, credential, place)))
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"{cell}: {type(error).__name__}") from error

    # ------------------------------------------------------------ looks

    def keys(self, lease: JsonObject) -> frozenset[str]:
        """Return key ids and public keys of every key of the realm."""
        found = self._get(URL_ADMIN_KEYS, realm_of(lease))["keys"]
        return frozenset(
            text for key in found for text in (key["kid"], key.get("publicKey")) if text
        )

    def digest(self, lease: JsonObject) -> str:
        """Return the digest of realm, users, clients, roles, key providers and sessions."""
        return hashlib.sha256(contents.state(self._admin, realm_of(lease)).encode()).hexdigest()

    def everything(self, lease: JsonObject) -> str:
        """Return all that can be read inside the realm, events included."""
        return contents.everything(self._admin, realm_of(lease))

    def server_state(self) -> Mapping[str, str]:
        """Return the settings of the server and of master, by part."""
        return contents.server(self._admin)

    def keep_events(self, lease: JsonObject) -> None:
        """Let the realm keep events of users and admins, as a template may."""
        path = URL_ADMIN_REALM.format(**{"realm-name": realm_of(lease)})
        self._admin.send("PUT", path, json={"eventsEnabled": True, "adminEventsEnabled": True})

    def host_facts(self) -> Mapping[str, str]:
        """Return canaries, and what the server tells its own admin of the host."""
        if not self._facts:
            self._facts = facts_of(self._access, contents.server_info(self._admin))
        return self._facts

    def placeholders(self) -> Sequence[str]:
        """Return placeholders for the environment, properties and the vault."""
        return placeholders(self._access)

    # ------------------------------------------------------------ what a holder does

    def browser(self) -> Profile:
        """Return a new browser profile."""
        return Profile(self._http)

    def mark(self, lease: JsonObject, mark: str) -> Sequence[str]:
        """Write the mark as user, stranger, app and, where there is one, admin."""
        return marks.write(self._http, lease, mark)

    @contextmanager
    def heard(self, listen: Callable[[str, str, str], None]) -> Iterator[None]:
        """Show each exchange on the wire: realm, verb and path, headers and body as they came."""

        def hear(request: httpx.Request, answer: httpx.Response) -> None:
            received = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            path = scrub(request.url.path.removeprefix("/"))
            listen(realm_in(request.url), f"{request.method} {path}", f"{received}\n{answer.text}")

        with self.wire.heard(hear):
            yield

    def ways(self, lease: JsonObject) -> Sequence[str]:
        """Return the ways of the lease's class."""
        return tuple(egress.ways(lease))

    def go(self, way: str, lease: JsonObject, address: str) -> None:
        """Try one way out."""
        egress.ways(lease)[way](self._http, lease, address)

    def reach(self, port: int) -> None:
        """Call the port ourselves."""
        self._http.get(f"http://127.0.0.1:{port}/")

    def roles(self, lease: JsonObject) -> Mapping[str, frozenset[str]]:
        """Return the roles in the token of each user, without the defaults of any realm."""
        found = {}
        for number, user in enumerate(lease["users"]):
            only = {**lease, "users": [lease["users"][number]]}
            answer = tokens(self._http, only, login(self._http, only).code)
            found[user["username"]] = frozenset(_roles_in(answer["access_token"], realm_of(lease)))
        return found

    def rename(self, lease: JsonObject, name: str) -> None:
        """Give the realm another name, as its `realm-admin` may; its internal id stays."""
        path = URL_ADMIN_REALM.format(**{"realm-name": realm_of(lease)})
        self._admin.send("PUT", path, json={"realm": name}, timeout=SLOW_TIMEOUT)

    def inventory(self) -> Mapping[str, frozenset[str]]:
        """Return realms, and in master clients, users, roles, parts of `admin`, components."""
        realms = self._admin.get(
            URL_ADMIN_REALMS, params={"briefRepresentation": "true"}, timeout=SLOW_TIMEOUT
        ).json()
        parts = URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE.format(
            **_MASTER, **{"role-name": "admin"}
        )
        listed = {
            "realm": [f"{realm['realm']} {realm['id']}" for realm in realms],
            "client of master": _names(self._get(URL_ADMIN_CLIENTS, "master"), "clientId"),
            "user of master": _names(self._get(URL_ADMIN_USERS, "master"), "username"),
            "role of master": _names(self._get(URL_ADMIN_REALM_ROLES, "master"), "name"),
            "component of master": _names(self._get(URL_ADMIN_COMPONENTS, "master"), "name"),
            "part of master's admin": _names(
                self._admin.get(parts, timeout=SLOW_TIMEOUT).json(), "name"
            ),
        }
        return {kind: frozenset(names) for kind, names in listed.items()}

    def known(self, lease: JsonObject) -> JsonObject:
        """Return the lease with the internal ids that the worst attacker would know."""
        clients = self._get(URL_ADMIN_CLIENTS, realm_of(lease))
        users = self._get(URL_ADMIN_USERS, realm_of(lease))
        (client,) = [one["id"] for one in clients if one["clientId"] == lease["client"]["id"]]
        return {**lease, "audit": {"client": client, "user": users[0]["id"]}}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._admin.close()

    # ------------------------------------------------------------ parts

    def _get(self, pattern: str, realm: str) -> Any:
        path = pattern.format(**{"realm-name": realm})
        return self._admin.get(path, timeout=SLOW_TIMEOUT).json()

    def _at_app(self, credential: Credential, place: Target) -> Reply:
        """Show the token to an app that trusts the realm: it fetches keys, and looks."""
        token, issuer = credential.value.reveal(), f"{self._base}/realms/{place.realm}"
        source = jose.issuer_of(token) if self.trust.keys_by_token else issuer
        published = self._http.get(f"{source or issuer}/protocol/openid-connect/certs")
        if published.status_code != httpx.codes.OK:
            return canonical(published)  # a dead realm has none, and an app of it takes nothing
        taken = jose.accepts(token, published.json()["keys"], issuer, self.trust.same_issuer)
        return Reply(200, "taken") if taken else Reply(401, "not taken")

    def _by_form(self, credential: Credential, place: Target) -> Reply:
        page = self._http.get(f"{place.oidc}/auth", params=public_request(place))
        username = credential.context["username"].reveal()
        answer = fill_in(self._http, page, username, credential.value.reveal())
        return self._reply(page if answer is None else answer)

    def _reply(self, answer: httpx.Response) -> Reply:
        told = frozenset(name for name, text in self.host_facts().items() if text in answer.text)
        return replace(canonical(answer), host=told)

    def _code(self, lease: JsonObject, cookies: Mapping[str, Secret]) -> Credential:
        answer = self._http.get(
            lease["endpoints"]["authorization"],
            params=asks(lease, prompt="none"),
            headers={"Cookie": header({name: value.reveal() for name, value in cookies.items()})},
        )
        code = code_in(answer)
        if not code:
            raise Unreachable(f"no code by cookie at {lease['tenant']}: {answer.status_code}")
        context = {**cookies, **_client(lease)}
        return Credential(kinds.CODE, lease["tenant"], Secret(code), context, one_shot=True)

    def _of_admin(self, lease: JsonObject, client: Mapping[str, Secret]) -> list[Credential]:
        """Return the admin's token, and the registration tokens that it makes."""
        tenant, admin = lease["tenant"], lease["admin"]
        own = {name: Secret(admin[name]) for name in ("client_id", "client_secret")}
        token = furnish.admin_token(self._http, lease)
        bearer = {"Authorization": f"Bearer {token}"}
        initial = self._http.post(
            f"{admin['url']}/clients-initial-access",
            json={"count": 100, "expiration": 3600},
            headers=bearer,
        )
        clients = self._http.get(
            f"{admin['url']}/clients", params={"clientId": lease["client"]["id"]}, headers=bearer
        )
        registration = self._http.post(
            f"{admin['url']}/clients/{clients.json()[0]['id']}/registration-access-token",
            headers=bearer,
        )
        return [
            Credential(kinds.ADMIN, tenant, Secret(token), own),
            Credential(kinds.INITIAL, tenant, Secret(initial.json()["token"]), client),
            Credential(
                kinds.REGISTRATION,
                tenant,
                Secret(registration.json()["registrationAccessToken"]),
                client,
            ),
        ]


def realm_of(lease: JsonObject) -> str:
    """Return the realm that the lease really leads to: its issuer's, whatever it is called."""
    return str(lease["issuer"]).rpartition("/realms/")[2]


def _client(lease: JsonObject) -> dict[str, Secret]:
    return {
        "client_id": Secret(lease["client"]["id"]),
        "client_secret": Secret(lease["client"]["secret"]),
        "redirect_uri": Secret(redirect_of(lease)),
    }


def _forged(value: str, entropy: SystemEntropy) -> str:
    """Return the value with its signature, or its random part, replaced; the form stays."""
    if value.startswith("eyJ") and value.count(".") == 2:
        head, _, tail = value.rpartition(".")
        return f"{head}.{_whole(tail, entropy)}"
    prefix, colon, tail = value.rpartition(":")
    return f"{prefix}{colon}{_whole(tail, entropy)}"


def _whole(value: str, entropy: SystemEntropy) -> str:
    fresh = (entropy.token(1) if one.isalnum() else one for one in value)
    return "".join(
        new.upper() if old.isupper() else new for old, new in zip(value, fresh, strict=True)
    )


def _roles_in(token: str, realm: str) -> set[str]:
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    own = set(claims.get("realm_access", {}).get("roles", []))
    for client, granted in claims.get("resource_access", {}).items():
        own |= {f"{client}/{role}" for role in granted["roles"]}
    defaults = {
        "offline_access",
        "uma_authorization",
        f"default-roles-{realm}",
        "account/manage-account",
        "account/manage-account-links",
        "account/view-profile",
    }
    return own - defaults


def _names(found: Any, key: str) -> list[str]:
    return [f"{one.get(key) or one.get('providerId')} {one['id']}" for one in found]
