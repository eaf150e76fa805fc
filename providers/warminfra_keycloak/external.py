"""A server that is not ours: the admin credentials given for it make our two identities, no more,
and take them away again.

Invariant: an identity that exists keeps its service account, since the realms that it made hang on
that; only its secret is renewed. The admin's credentials are used here and kept nowhere.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from keycloak.urls_patterns import URL_ADMIN_CLIENT, URL_ADMIN_CLIENTS

from warminfra.core.entropy import SECRET_LENGTH, Entropy, SystemEntropy
from warminfra.core.errors import ConfigInvalid, IdentityRefused
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection, is_loopback
from warminfra_keycloak.takeover import (
    ServiceAccount,
    entitle,
    looker_of,
    make_service_account,
    maker_of,
)

_log = logging.getLogger(__name__)
_MASTER = {"realm-name": "master"}
_CREDENTIALS = (
    "keycloak.admin_client_id and keycloak.admin_client_secret,"
    " or keycloak.admin_username and keycloak.admin_password"
)
_ADMIN_CLI = "admin-cli"
_NOT_FOUND = 404


def external_access(
    settings: Mapping[str, Any], installation: InstallationId, entropy: Entropy | None = None
) -> ServerAccess | None:
    """Make maker and looker on the server at `settings["url"]`; None if no URL is set.

    Raises `ConfigInvalid` if no credentials are given, else as `AdminConnection` does.
    """
    url = str(settings.get("url") or "").rstrip("/")
    if not url:
        return None
    if url.startswith("http:") and not is_loopback(url):
        _log.warning("%s is not https: secrets go over the network as they are", url)
    draw = entropy or SystemEntropy()
    identity: dict[str, Secret] = {}
    with _admin_of(url, settings) as admin:
        for name, account in (
            ("maker", maker_of(installation)),
            ("looker", looker_of(installation)),
        ):
            identity[f"{name}_id"] = Secret(account.client_id)
            identity[f"{name}_secret"] = _renewed(admin, account, draw)
    return ServerAccess(url, identity)


def leave_external(settings: Mapping[str, Any], installation: InstallationId) -> None:
    """Delete maker and looker, of exactly this installation. Raises as `external_access` does."""
    with _admin_of(str(settings["url"]).rstrip("/"), settings) as admin:
        for account in (maker_of(installation), looker_of(installation)):
            found = admin.get(
                URL_ADMIN_CLIENTS.format(**_MASTER), params={"clientId": account.client_id}
            )
            for client in found.json():
                path = URL_ADMIN_CLIENT.format(**_MASTER, id=client["id"])
                admin.send("DELETE", path, timeout=SLOW_TIMEOUT, allow=(_NOT_FOUND,))


def _renewed(admin: AdminConnection, account: ServiceAccount, entropy: Entropy) -> Secret:
    path = URL_ADMIN_CLIENTS.format(**_MASTER)
    for client in admin.get(path, params={"clientId": account.client_id}).json():
        secret = Secret(entropy.token(SECRET_LENGTH))
        admin.send(
            "PUT",
            URL_ADMIN_CLIENT.format(**_MASTER, id=client["id"]),
            json={**client, "secret": secret.reveal(), "enabled": True},
        )
        entitle(admin, account, client["id"])  # whoever made it may have been killed before
        return secret
    return make_service_account(admin, account, entropy)


@contextmanager
def _admin_of(url: str, settings: Mapping[str, Any]) -> Iterator[AdminConnection]:
    with closing(_admin(url, settings)) as admin:
        try:
            yield admin
        except IdentityRefused as error:
            raise IdentityRefused(error.message, hint=f"see {_CREDENTIALS}") from error


def _admin(url: str, settings: Mapping[str, Any]) -> AdminConnection:
    client = str(settings.get("admin_client_id") or "")
    secret = _secret(settings, "admin_client_secret")
    if client and secret:
        return AdminConnection(url, client, secret)
    user = str(settings.get("admin_username") or "")
    password = _secret(settings, "admin_password")
    if user and password:
        return AdminConnection(url, _ADMIN_CLI, password, username=user)
    raise ConfigInvalid(
        f"keycloak.url is {url}, but no admin of it is given",
        hint=f"set {_CREDENTIALS}",
    )


def _secret(settings: Mapping[str, Any], name: str) -> Secret | None:
    """Return a secret given as such, as text, or as the file that holds it."""
    given = settings.get(name)
    if isinstance(given, Secret):
        return given
    if given:
        return Secret(str(given))
    file = settings.get(f"{name}_file")
    if not file:
        return None
    try:
        return Secret(Path(file).read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"keycloak.{name}_file cannot be read: {file} ({type(error).__name__})",
            hint="give a readable file that holds the secret and nothing else",
        ) from error
