"""The Keycloak provider: realms as tenants.

Two identities do the work. The *maker* holds nothing but `create-realm`; it manages the realms that
it made itself, and its cost per call does not grow with their number. The *looker* may view
master's clients and roles and change nothing. Invariant: what is acted on is the realm whose
internal id is the tenant's id, whatever it is called by now; a realm of the right name with another
id, `master`, and other installations' realms are refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx
from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_REALM,
    URL_ADMIN_REALMS,
)

from warminfra.core.errors import OutcomeUnknown, ProviderRefused, Unreachable
from warminfra.core.ids import InstallationId, TenantId, owner_of
from warminfra.core.models import (
    Capabilities,
    FoundTenant,
    ServerAccess,
    TenantFacts,
    TenantMaterial,
    TenantPlan,
    TenantRef,
)
from warminfra.core.template import DOMAIN, ClientSpec, Template
from warminfra_keycloak import digest
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection
from warminfra_keycloak.fitting import fitted
from warminfra_keycloak.keys import STOCK, KeyPool
from warminfra_keycloak.realm import facts, password_policy, personal_client, realm_body
from warminfra_keycloak.traces import ManagementRole, MasterTraces

MAKER, LOOKER = "maker", "looker"
"""The two identities; an access has `<name>_id` and `<name>_secret` of each."""

_READABLE_WITHIN = 10.0
"""Seconds that a created realm may take until its maker can read it. Expected: at once."""
_TRANSACTION_TIMEOUT = 60.0
_FORBIDDEN, _NOT_FOUND = 403, 404
_NO_EVENTS = {"eventsEnabled": False, "adminEventsEnabled": False}


class KeycloakProvider:
    """Drives one server for one installation. Safe to share between threads; `close` it."""

    def __init__(
        self,
        access: ServerAccess,
        installation: InstallationId,
        settings: Mapping[str, Any],
        *,
        keys: KeyPool = STOCK,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`settings` is the `[keycloak]` section; `keys` are its tenants' own, each of them once;
        `transport` stands for the network in tests."""
        self._installation = installation
        self._url = access.url.rstrip("/")
        self._policy = password_policy(settings)
        self._timeout = float(settings.get("transaction_timeout", _TRANSACTION_TIMEOUT))
        self._keys = keys
        self._maker = _connection(access, MAKER, transport)
        self._looker = _connection(access, LOOKER, transport)
        self._making = threading.Lock()
        self._traces = MasterTraces(self._looker)
        self._condemned: dict[TenantId, tuple[str, tuple[ManagementRole, ...]]] = {}
        """Names and roles in master of realms, for the look after their end."""
        self._shut: dict[TenantId, str] = {}
        """Names of the realms that need but be deleted; each is good for one delete."""

    def create_tenant(self, plan: TenantPlan) -> TenantFacts:
        """Make the realm by one POST; return once its maker can read it by its id."""
        self._own(plan.ref)
        body = realm_body(plan, self._keys.take(), self._policy)
        with self._making:
            self._maker.send("POST", URL_ADMIN_REALMS, json=body, timeout=SLOW_TIMEOUT)
        self._await_readable(plan)
        return facts(self._url, plan.ref.name, admin=plan.template.admin)

    def fitted(self, template: Template) -> tuple[Template, Sequence[str]]:
        """Compare the template with what the server has; see `fitting`. Nothing is made."""
        return fitted(template, self._maker, self._looker)

    def personalise(
        self, ref: TenantRef, client: ClientSpec, material: TenantMaterial, domain: str
    ) -> None:
        """Put the domain into the client's redirect URIs: one PUT, none if no URI has a place."""
        body = personal_client(client, material, domain)
        if any(DOMAIN in uri for uri in client.redirect_uris):
            path = URL_ADMIN_CLIENT.format(**{"realm-name": ref.name, "id": material.client_object})
            self._maker.send("PUT", path, json=body)

    def condemn(self, ref: TenantRef) -> None:
        """Shut the realm, void its tokens, clear its events. Fine if it is gone."""
        self._own(ref)
        name = self._name_now(ref)
        if name is None:
            return
        path = URL_ADMIN_REALM.format(**{"realm-name": name})
        self._condemned[ref.id] = (name, self._traces.roles(name))
        # From here no login and no token of the realm is good, even if no delete works.
        body = {"enabled": False, "notBefore": int(time.time()) + 1, **_NO_EVENTS}
        shut = self._maker.send("PUT", path, json=body, timeout=SLOW_TIMEOUT, allow=(_NOT_FOUND,))
        # Keycloak leaves a deleted realm's events in its database.
        for kept in ("events", "admin-events"):
            self._maker.send("DELETE", f"{path}/{kept}", timeout=SLOW_TIMEOUT, allow=(_NOT_FOUND,))
        if shut.status_code != _NOT_FOUND:
            self._shut[ref.id] = name

    def destroy_tenant(self, ref: TenantRef) -> None:
        """Delete the realm; condemn it first if that was not done. Fine if it is gone."""
        self._own(ref)
        if not self._delete(ref):
            # Not condemned yet, or gone, or called otherwise since.
            self.condemn(ref)
            self._delete(ref)

    def _delete(self, ref: TenantRef) -> bool:
        """Delete the realm if it was condemned, by the name that it had then; say if it was there.

        Only a master admin could have renamed it since, and the maker may delete no other's realm.
        """
        name = self._shut.pop(ref.id, None)
        if name is None:
            return False
        path = URL_ADMIN_REALM.format(**{"realm-name": name})
        with self._making:
            try:
                answer = self._maker.send("DELETE", path, timeout=SLOW_TIMEOUT, allow=(_NOT_FOUND,))
            except OutcomeUnknown:
                # Keycloak may answer 500 to a delete that worked.
                if self._name_now(ref) is not None:
                    raise
                return True
        return answer.status_code != _NOT_FOUND

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        """Return a line for each trace of the tenant, by its id and by every name it had.

        Its roles in master are looked for one by one if this object saw them before the delete;
        after a restart in between `master_orphans` is the way to find one.
        """
        last_name, roles = self._condemned.get(ref.id, (ref.name, ()))
        left = [
            f"realm {name} with internal id {ref.id}"
            for found, name in self._realms()
            if found == ref.id
        ]
        for name in dict.fromkeys((ref.name, last_name)):
            if not left and self._id_of(name) is not None:
                left.append(f"a realm called {name}, whose internal id we may not read")
            left += [f"client {name}-realm ({client})" for client in self._traces.clients(name)]
        left += [f"role {role.name} ({role.id}) in master" for role in self._traces.left(roles)]
        if not left:
            self._condemned.pop(ref.id, None)
        return left

    def master_orphans(self) -> Sequence[str]:
        """Return what any realm, ours or not, left in master's role `admin`. Costs by number."""
        return self._traces.orphans()

    def list_tenants(self) -> Sequence[FoundTenant]:
        """Return this installation's realms: those whose internal id it minted."""
        return [
            FoundTenant(TenantRef(TenantId(found), name))
            for found, name in self._realms()
            if owner_of(found) == self._installation
        ]

    def health(self) -> None:
        """Return if both identities get an answer; keeps their tokens fresh by the way."""
        self._maker.token()
        self._traces.clients("master")

    def fingerprint(self) -> Mapping[str, str]:
        """Return digests of the server's features and extensions and of master's settings."""
        return digest.server(self._looker)

    def capabilities(self) -> Capabilities:
        """Return the transaction timeout: the setting, which must match the server's option."""
        return Capabilities(transaction_timeout=self._timeout)

    def close(self) -> None:
        """Close the connections."""
        self._maker.close()
        self._looker.close()

    # ------------------------------------------------------------ looking

    def _own(self, ref: TenantRef) -> None:
        if owner_of(ref.id) != self._installation:
            raise ProviderRefused(
                f"tenant {ref.id!r} is not of installation {self._installation}",
                hint="tenants of other installations are never touched",
            )
        if ref.name == "master":
            raise ProviderRefused("master is no tenant")

    def _name_now(self, ref: TenantRef) -> str | None:
        """Return what the realm with the tenant's id is called now, None if there is none."""
        found = self._id_of(ref.name)
        if found == ref.id:
            return ref.name
        for identifier, name in self._realms():
            if identifier == ref.id:
                return name
        if found is not None:
            raise ProviderRefused(
                f"realm {ref.name} has the internal id {found or '(not readable)'}, not {ref.id}",
                hint="somebody else made a realm of this name; rename or remove it by hand",
            )
        return None

    def _id_of(self, name: str) -> str | None:
        """Return the internal id of the realm called so: "" if not ours to read, None if none."""
        path = URL_ADMIN_REALM.format(**{"realm-name": name})
        response = self._maker.get(path, allow=(_NOT_FOUND, _FORBIDDEN))
        if response.status_code == _NOT_FOUND:
            return None
        if response.status_code == _FORBIDDEN:
            return ""
        # Whoever may only know that it exists is shown a stub without the id.
        return str(response.json().get("id", ""))

    def _realms(self) -> list[tuple[str, str]]:
        """Return internal id and name of every realm that the maker made and that exists."""
        # With cold caches the server loads every realm for this answer.
        response = self._maker.get(
            URL_ADMIN_REALMS,
            params={"briefRepresentation": "true"},
            timeout=SLOW_TIMEOUT,
            allow=(_FORBIDDEN,),
        )
        if response.status_code == _FORBIDDEN:
            # The answer to an identity that manages no realm at all.
            return []
        return [(realm["id"], realm["realm"]) for realm in response.json() if "id" in realm]

    def _await_readable(self, plan: TenantPlan) -> None:
        path = URL_ADMIN_CLIENT.format(
            **{"realm-name": plan.ref.name, "id": plan.material.client_object}
        )

        def readable() -> bool:
            answer = self._maker.get(path, allow=(_NOT_FOUND, _FORBIDDEN))
            return answer.status_code < _FORBIDDEN

        if not _within(_READABLE_WITHIN, readable):
            raise OutcomeUnknown(
                f"realm {plan.ref.name} was created and cannot be read after {_READABLE_WITHIN} s"
            )


def _connection(
    access: ServerAccess, who: str, transport: httpx.BaseTransport | None
) -> AdminConnection:
    return AdminConnection(
        access.base_url,
        access.identity[f"{who}_id"].reveal(),
        access.identity[f"{who}_secret"],
        ca_file=access.ca_file,
        transport=transport,
    )


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Ask again and again, 20 ms apart, until the condition holds or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(Unreachable):
            if condition():
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
