"""Where an attempt goes: a realm, and whose client knocks there."""

from __future__ import annotations

from dataclasses import dataclass

from warminfra.core.audit import Credential
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit import kinds
from warminfra_keycloak.audit.holder import asks

CONSOLE = "security-admin-console"
"""A public client of master's, for the code flow; `admin-cli` is another, for passwords."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: a realm, and what is known of its insides."""

    base: str
    realm: str
    lease: JsonObject | None

    @property
    def oidc(self) -> str:
        return f"{self.base}/realms/{self.realm}/protocol/openid-connect"


def realm_of(lease: JsonObject) -> str:
    """Return the realm that the lease really leads to: its issuer's, whatever it is called."""
    return str(lease["issuer"]).rpartition("/realms/")[2]


def client_of(credential: Credential, target: Target) -> dict[str, str]:
    """Return the client of the target, as its own holder has it; at master one that anybody may be.

    The attacker's own would be refused there before what it shows is looked at.
    """
    if target.lease is not None:
        own = target.lease["client"]
        return {"client_id": own["id"], "client_secret": own["secret"]}
    by_browser = credential.kind in (kinds.CODE, kinds.PAR)
    return {"client_id": CONSOLE if by_browser else "admin-cli"}


def public_request(target: Target) -> dict[str, str]:
    """Return the query of an authorization request that anybody may make at the target."""
    if target.lease is not None:
        return asks(target.lease)
    return {
        "client_id": CONSOLE,
        "redirect_uri": f"{target.base}/admin/master/console/",
        "response_type": "code",
        "scope": "openid",
        "code_challenge_method": "S256",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # of RFC 7636
    }
