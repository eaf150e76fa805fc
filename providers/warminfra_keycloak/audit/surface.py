"""Keycloak as the prover sees it. Works on scratch servers, which keep an auditor's identity.

Invariant: what a credential is tried with is what its holder has; the auditor's identity serves
the looks (keys, digest, inventory) and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

import httpx

from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import OutcomeUnknown
from warminfra.core.models import JsonObject, ServerAccess
from warminfra.core.template import Template
from warminfra_keycloak.audit import cells as places
from warminfra_keycloak.audit import egress, furnish, jose, kinds, marks, roles
from warminfra_keycloak.audit.artifacts import MINTS, Means
from warminfra_keycloak.audit.browser import Profile
from warminfra_keycloak.audit.canonical import canonical, scrub
from warminfra_keycloak.audit.forge import forged
from warminfra_keycloak.audit.fresh import fresh
from warminfra_keycloak.audit.holder import fill_in, login, tokens
from warminfra_keycloak.audit.looks import Looks
from warminfra_keycloak.audit.mint import code, mint
from warminfra_keycloak.audit.once import USES
from warminfra_keycloak.audit.target import Target, public_request, realm_of
from warminfra_keycloak.audit.wire import Wire, forgetful, realm_in


class KeycloakSurface(Looks):
    """`AuditSurface` of one scratch server: its looks, and what a holder does and tries."""

    def __init__(self, access: ServerAccess) -> None:
        super().__init__(access)
        self._base = access.url
        self.wire = Wire(access.ca_file)
        self.trust = jose.Trust()
        """How the apps that trust a realm look at a token; a mutant plants another way."""
        self._http = forgetful(self.wire)
        self._means: dict[str, Means] = {}
        self._entropy = SystemEntropy()

    # ------------------------------------------------------------ what a holder has

    def fresh(self, lease: JsonObject) -> JsonObject:
        """Copy the lease's client and users under other names and secrets, in the same realm."""
        return fresh(self._admin, self._entropy, realm_of(lease), lease)

    def mint(self, lease: JsonObject) -> Sequence[Credential]:
        """Return all that logging in, and being the admin, yields."""
        return mint(self._http, lease)

    def again(self, credential: Credential, lease: JsonObject) -> Credential:
        """Return a fresh artifact of the same kind; what can be used twice is its own twin."""
        if not credential.one_shot:
            return credential
        cookies = {name: secret for name, secret in credential.context.items() if name.isupper()}
        if credential.kind == kinds.CODE and cookies:
            return code(self._http, lease, cookies)
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
        """Return one of the same form that no server ever accepted."""
        return forged(credential, self._entropy)

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

    # ------------------------------------------------------------ what a holder does

    def browser(self) -> Profile:
        """Return a new browser profile."""
        return Profile(self._http)

    def mark(self, lease: JsonObject, mark: str) -> Sequence[str]:
        """Write the mark as user, stranger, app and, where there is one, admin."""
        return marks.write(self._http, lease, mark)

    @contextmanager
    def heard(self, listen: Callable[[str, str, str], None]) -> Iterator[None]:
        """Show each exchange on the wire: realm, verb and path, headers and body as they came, and
        what the tokens in it say."""

        def hear(request: httpx.Request, answer: httpx.Response) -> None:
            headers = (f"{name}: {value}" for name, value in answer.headers.items())
            received = "\n".join([*headers, *jose.said(answer.text)])
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
        """Return the roles in the token of each user."""
        found = {}
        for number, user in enumerate(lease["users"]):
            only = {**lease, "users": [lease["users"][number]]}
            answer = tokens(self._http, only, login(self._http, only).code)
            found[user["username"]] = roles.in_token(answer["access_token"], lease)
        return found

    def granted(self, template: Template) -> Mapping[str, frozenset[str]]:
        """Return the roles that the template gives each user, with all that is inside them."""
        return roles.granted(template)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._admin.close()

    # ------------------------------------------------------------ parts

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
