"""A server of which we keep an admin: the plain way of working with Keycloak, to compare with.

The copy of the snapshot is re-keyed as the product does it; but beside maker and looker a third
service account is made, which holds master's role `admin`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from keycloak.urls_patterns import URL_ADMIN_CLIENT_SECRETS, URL_ADMIN_CLIENTS

from warminfra.core.ids import InstallationId, InstanceId
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra.instances.local import LocalLauncher
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.distribution import KeycloakDistribution
from warminfra_keycloak.takeover import ServiceAccount, looker_of, maker_of, take_over

ADMIN_CLIENT = "plain-admin"
_MASTER = {"realm-name": "master"}
_INSTANCE = InstanceId("kc-plain")


class KeepsAdmin(KeycloakDistribution):
    """Makes the admin beside our own identities."""

    def take_over(
        self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        account = ServiceAccount(ADMIN_CLIENT, realm_roles=("admin",))
        return take_over(access, bootstrap, installation, further={"admin": account})


@contextmanager
def admin_server(folder: Path, cache: Path) -> Iterator[ServerAccess]:
    """Start one below `folder`; stop and remove it afterwards. Its identity is the admin's."""
    launcher = LocalLauncher(
        KeepsAdmin({}),
        installation=InstallationId("plainadm"),
        state_dir=folder,
        cache_dir=cache,
        memory_limit=1536 << 20,
    )
    try:
        launcher.prepare(lambda _: None)
        yield launcher.start(_INSTANCE, lambda _: None).access
    finally:
        launcher.stop(_INSTANCE, discard=True)


def admin_of(access: ServerAccess) -> AdminConnection:
    """Return a connection as the admin."""
    return AdminConnection(
        access.base_url, access.identity["admin_id"].reveal(), access.identity["admin_secret"]
    )


def guest_config(access: ServerAccess, folder: Path) -> str:
    """Return the section by which a service uses the server; the secret is a file in `folder`."""
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(access.identity["admin_secret"].reveal())
    return (
        f'[keycloak]\nurl = "{access.base_url}"\n'
        f'admin_client_id = "{access.identity["admin_id"].reveal()}"\n'
        f'admin_client_secret_file = "{secret}"\n'
    )


def maker_access(
    admin: AdminConnection, access: ServerAccess, installation: InstallationId
) -> ServerAccess:
    """Return the identities that a service made for itself on the server, asked of the admin."""
    identity: dict[str, Secret] = {}
    for name, account in (("maker", maker_of(installation)), ("looker", looker_of(installation))):
        client_id = account.client_id
        (client,) = admin.get(_clients(), params={"clientId": client_id}).json()
        path = URL_ADMIN_CLIENT_SECRETS.format(**_MASTER, id=client["id"])
        identity[f"{name}_id"] = Secret(client_id)
        identity[f"{name}_secret"] = Secret(admin.get(path).json()["value"])
    return ServerAccess(access.base_url, identity)


def _clients() -> str:
    return URL_ADMIN_CLIENTS.format(**_MASTER)
