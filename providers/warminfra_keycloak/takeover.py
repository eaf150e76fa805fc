"""Making a copied server our own: new keys, two least-privileged identities, no way back in.

A copy of a snapshot has the snapshot's master keys and bootstrap client, as every other copy. After
`take_over` it shares no key and no secret with any of them. The *maker* holds `create-realm` and
nothing else; the *looker* may view master's clients and roles. Invariant: the bootstrap client goes
last, so an interrupted take-over is seen by the missing identity and begun anew on a fresh copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_SECRETS,
    URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENT,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_USER_CLIENT_ROLES,
    URL_ADMIN_USER_REALM_ROLES,
)

from warminfra.core.entropy import SECRET_LENGTH, Entropy, SystemEntropy
from warminfra.core.errors import Internal, ProviderRefused
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection
from warminfra_keycloak.keys import STOCK

BOOTSTRAP_CLIENT = "warminfra-bootstrap"
"""Client id of the temporary admin of a snapshot."""

MASTER_CLIENT = "master-realm"
"""The client whose roles say what may be done with master itself."""

MAKER_ROLES = ("create-realm",)
LOOKER_ROLES = ("view-clients", "view-realm", "query-clients")

_KEY_PROVIDER = "org.keycloak.keys.KeyProvider"
_NEW_PRIORITY = 200
"""Above that of the keys a new realm gets (100), so that the new ones sign at once."""

_MASTER = {"realm-name": "master"}


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What one of our identities may do in master."""

    client_id: str
    realm_roles: tuple[str, ...] = ()
    master_roles: tuple[str, ...] = ()


def maker_of(installation: InstallationId) -> ServiceAccount:
    """Return the identity that makes and unmakes realms."""
    return ServiceAccount(f"warminfra-{installation}-maker", realm_roles=MAKER_ROLES)


def looker_of(installation: InstallationId) -> ServiceAccount:
    """Return the identity that looks whether traces in master are gone."""
    return ServiceAccount(f"warminfra-{installation}-looker", master_roles=LOOKER_ROLES)


def take_over(
    access: ServerAccess,
    bootstrap: Secret,
    installation: InstallationId,
    entropy: Entropy | None = None,
    further: Mapping[str, ServiceAccount] | None = None,
) -> Mapping[str, Secret]:
    """Re-key master, make maker and looker, end the bootstrap client; about 2 s.

    Returns `maker_id`, `maker_secret`, `looker_id`, `looker_secret`, and the same for the `further`
    accounts, which only servers that no run uses have. Raises as `AdminConnection` does, and
    `Internal` if the old keys or the bootstrap client survived.
    """
    draw = entropy or SystemEntropy()
    identity: dict[str, Secret] = {}
    with closing(_bootstrap(access, bootstrap)) as admin:
        rekey(admin)
        renew_client_secrets(admin, keep=BOOTSTRAP_CLIENT)
        accounts = {
            "maker": maker_of(installation),
            "looker": looker_of(installation),
            **(further or {}),
        }
        for name, account in accounts.items():
            identity[f"{name}_id"] = Secret(account.client_id)
            identity[f"{name}_secret"] = make_service_account(admin, account, draw)
        _delete_client(admin, BOOTSTRAP_CLIENT)
    _prove_dead(access, bootstrap)
    return identity


def rekey(admin: AdminConnection) -> None:
    """Give master new keys of every kind and delete the old ones."""
    old = _key_components(admin)
    realm = old[0]["parentId"]
    new = _new_keys()
    for provider, options in new.items():
        admin.send(
            "POST",
            URL_ADMIN_COMPONENTS.format(**_MASTER),
            json={
                "name": provider,
                "providerId": provider,
                "providerType": _KEY_PROVIDER,
                "parentId": realm,
                "config": {
                    "priority": [str(_NEW_PRIORITY)],
                    "enabled": ["true"],
                    "active": ["true"],
                    **{name: [value] for name, value in options.items()},
                },
            },
            timeout=SLOW_TIMEOUT,
        )
    for component in old:
        # The token at hand dies with the key that signed it; the connection then fetches another.
        admin.send(
            "DELETE",
            URL_ADMIN_COMPONENT.format(**_MASTER, **{"component-id": component["id"]}),
            timeout=SLOW_TIMEOUT,
        )
    left = {component["id"] for component in _key_components(admin)}
    if left & {component["id"] for component in old} or len(left) != len(new):
        raise Internal("master still has keys of the snapshot")


def _new_keys() -> Mapping[str, Mapping[str, str]]:
    """Return master's new key providers. RSA keys are made here: a server that has just started
    takes 4 s for the two, this process 0.1 s."""
    signing, encryption = STOCK.take(), STOCK.take()
    return {
        "rsa": {
            "algorithm": "RS256",
            "privateKey": signing.private_pem,
            "certificate": signing.certificate_pem,
        },
        "rsa-enc": {
            "algorithm": "RSA-OAEP",
            "privateKey": encryption.private_pem,
            "certificate": encryption.certificate_pem,
        },
        "hmac-generated": {"algorithm": "HS512"},
        "aes-generated": {"secretSize": "16"},
    }


def renew_client_secrets(admin: AdminConnection, *, keep: str) -> None:
    """Give every client of master that has a secret a new one, but for client `keep`."""
    for client in admin.get(URL_ADMIN_CLIENTS.format(**_MASTER)).json():
        if client.get("secret") and client["clientId"] != keep:
            admin.send("POST", URL_ADMIN_CLIENT_SECRETS.format(**_MASTER, id=client["id"]))


def make_service_account(
    admin: AdminConnection, account: ServiceAccount, entropy: Entropy
) -> Secret:
    """Make the client, which must not exist, with exactly its roles, and return its secret."""
    secret = Secret(entropy.token(SECRET_LENGTH))
    made = admin.send(
        "POST",
        URL_ADMIN_CLIENTS.format(**_MASTER),
        json={
            "clientId": account.client_id,
            "secret": secret.reveal(),
            "publicClient": False,
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "implicitFlowEnabled": False,
            "directAccessGrantsEnabled": False,
            # A maker's rights grow with each realm it makes; they are never listed in a token.
            "fullScopeAllowed": True,
            "attributes": {"client.use.lightweight.access.token.enabled": "true"},
            "defaultClientScopes": ["basic"],
            "optionalClientScopes": [],
        },
    )
    entitle(admin, account, made.headers["Location"].rpartition("/")[2])
    return secret


def entitle(admin: AdminConnection, account: ServiceAccount, client: str) -> None:
    """Give the service account of `client` (its internal id) its roles; no other of the realm's."""
    user = admin.get(URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER.format(**_MASTER, id=client)).json()[
        "id"
    ]
    realm_roles = URL_ADMIN_USER_REALM_ROLES.format(**_MASTER, id=user)
    given = admin.get(realm_roles).json()
    excess = [role for role in given if role["name"] not in account.realm_roles]
    if excess:
        admin.send("DELETE", realm_roles, json=excess)
    missing = {*account.realm_roles} - {role["name"] for role in given}
    if missing:
        known = admin.get(URL_ADMIN_REALM_ROLES.format(**_MASTER)).json()
        admin.send("POST", realm_roles, json=_named(known, missing))
    if account.master_roles:
        master = _find_client(admin, MASTER_CLIENT)["id"]
        client_roles = URL_ADMIN_USER_CLIENT_ROLES.format(
            **_MASTER, id=user, **{"client-id": master}
        )
        missing = {*account.master_roles} - {
            role["name"] for role in admin.get(client_roles).json()
        }
        if missing:
            known = admin.get(f"{client_roles}/available").json()
            admin.send("POST", client_roles, json=_named(known, missing))


def _key_components(admin: AdminConnection) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get(
        URL_ADMIN_COMPONENTS.format(**_MASTER), params={"type": _KEY_PROVIDER}
    ).json()
    return found


def _find_client(admin: AdminConnection, client_id: str) -> dict[str, Any]:
    found = _clients(admin, client_id)
    if not found:
        raise ProviderRefused(f"master has no client {client_id!r}")
    return found[0]


def _clients(admin: AdminConnection, client_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get(
        URL_ADMIN_CLIENTS.format(**_MASTER), params={"clientId": client_id}
    ).json()
    return [client for client in found if client["clientId"] == client_id]


def _delete_client(admin: AdminConnection, client_id: str) -> None:
    """Delete the client and with it its service account, if it is there."""
    for client in _clients(admin, client_id):
        admin.send(
            "DELETE", URL_ADMIN_CLIENT.format(**_MASTER, id=client["id"]), timeout=SLOW_TIMEOUT
        )


def _named(roles: Iterable[dict[str, Any]], names: Set[str]) -> list[dict[str, Any]]:
    chosen = [role for role in roles if role["name"] in names]
    if len(chosen) != len(names):
        missing = sorted(names - {role["name"] for role in chosen})
        raise ProviderRefused(f"master has no role {', '.join(missing)}")
    return chosen


def _bootstrap(access: ServerAccess, secret: Secret) -> AdminConnection:
    return AdminConnection(access.base_url, BOOTSTRAP_CLIENT, secret, ca_file=access.ca_file)


def _prove_dead(access: ServerAccess, bootstrap: Secret) -> None:
    with closing(_bootstrap(access, bootstrap)) as probe:
        try:
            probe.token()
        except ProviderRefused:
            return
    raise Internal("the bootstrap client can still log in")
