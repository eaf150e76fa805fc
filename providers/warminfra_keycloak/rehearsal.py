"""What a server does for its first tenant, done once for its class data.

A server's life begins with the same calls each time: it is taken over, a realm is made, an app's
first user comes. Most of what that takes is code that Java runs for the first time. A run whose
data is thrown away goes through it before it writes its class data, and later ones begin with that.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import httpx

from warminfra.core.entropy import SECRET_LENGTH, SystemEntropy
from warminfra.core.ids import InstallationId, mint_tenant_id, tenant_name
from warminfra.core.models import (
    LeasedUser,
    ServerAccess,
    TenantMaterial,
    TenantPlan,
    TenantRef,
)
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra_keycloak.provider import KeycloakProvider
from warminfra_keycloak.takeover import take_over

_INSTALLATION = InstallationId("rehearse")
_DOMAIN = "run.example.test"
_TEMPLATE = Template(
    "keycloak", "app", ClientSpec(redirect_uris=("https://{domain}/*",)), (UserSpec("alice"),)
)
_TIMES = 3
"""Lives of a tenant. The methods of the second and third are those that are worth a profile."""


def rehearse(access: ServerAccess, bootstrap: Secret) -> None:
    """Take the server over, and make, use and unmake tenants. Its data is of no use afterwards."""
    identity = take_over(access, bootstrap, _INSTALLATION)
    provider = KeycloakProvider(replace(access, identity=identity), _INSTALLATION, {})
    with closing(provider), httpx.Client(timeout=60.0) as browser:
        provider.list_tenants()
        for _ in range(_TIMES):
            plan = _plan()
            facts = provider.create_tenant(plan)
            provider.personalise(plan.ref, _TEMPLATE.client, plan.material, _DOMAIN)
            for page in ("discovery", "jwks", "authorization"):
                browser.get(facts.endpoints[page], params=_question(plan.material))
            provider.destroy_tenant(plan.ref)
            provider.verify_gone(plan.ref)


def _plan() -> TenantPlan:
    entropy = SystemEntropy()
    tenant = mint_tenant_id(_INSTALLATION, entropy)
    secret, password, client = (entropy.token(SECRET_LENGTH) for _ in range(3))
    alice = LeasedUser("alice", password, "alice@example.test", "Alice", "Example", ())
    material = TenantMaterial("app", secret, client, (alice,))
    ref = TenantRef(tenant, tenant_name(tenant))
    return TenantPlan(ref, _INSTALLATION, _TEMPLATE, material, datetime.now(UTC))


def _question(material: TenantMaterial) -> dict[str, str]:
    """Return what an app asks for when its user is to log in."""
    return {
        "client_id": material.client_id,
        "redirect_uri": f"https://{_DOMAIN}/callback",
        "response_type": "code",
        "scope": "openid",
    }
