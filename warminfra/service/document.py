"""The lease document (`warminfra.lease/v1`): everything that a holder gets."""

from __future__ import annotations

from collections.abc import Mapping

from warminfra.core.errors import Internal
from warminfra.core.ids import tenant_name
from warminfra.core.models import Granted, JsonObject
from warminfra.core.reach import Reach
from warminfra.core.secret import Secret
from warminfra.recipes.render import render_env

FIRST_VERSION = "v1"
"""Of a secret whose version the app's environment does not name."""


def lease_document(granted: Granted, provider: str, reach: Reach) -> JsonObject:
    """Return the document of a granted lease, with its environment rendered. Full of secrets."""
    lease, tenant = granted.lease, granted.tenant
    material, facts = tenant.material, tenant.facts
    if material is None or facts is None:
        raise Internal(f"lease {lease.id} has a tenant without material")
    document: JsonObject = {
        "schema": "warminfra.lease/v1",
        "id": lease.id,
        "handle": granted.handle.reveal(),
        "recipe": lease.recipe,
        "run": lease.run,
        "slot": lease.slot,
        "mode": lease.mode,
        "mode_reason": lease.mode_reason,
        "verdict": lease.verdict,
        "provider": provider,
        "tenant": tenant_name(tenant.id),
        "domain": lease.domain,
        "expires_at": lease.expires_at.isoformat().replace("+00:00", "Z"),
        "ttl_s": lease.ttl,
        "issuer": facts.issuer,
        "endpoints": dict(facts.endpoints),
        **_reached(reach),
        "client": {"id": material.client_id, "secret": material.client_secret},
        "users": [
            {
                "username": user.username,
                "password": user.password,
                "email": user.email,
                "first_name": user.first_name,
                "last_name": user.last_name,
                "roles": list(user.roles),
            }
            for user in material.users
        ],
        "timing": {name: round(value, 3) for name, value in granted.timing.items()},
    }
    if material.admin_client_id:
        document["admin"] = {
            "client_id": material.admin_client_id,
            "client_secret": material.admin_client_secret,
            "url": facts.admin_url,
        }
    document["env"] = render_env(granted.recipe.env, document)
    return document


def _reached(reach: Reach) -> JsonObject:
    """Return what the holder needs to find and trust the server; nothing if that goes by itself."""
    found: JsonObject = {}
    if reach.trust is not None:
        found["tls"] = {
            "ca_pem": reach.trust.ca_pem,
            "ca_file": str(reach.trust.ca_file),
            "bundle_file": str(reach.trust.bundle_file),
        }
    if reach.hosts:
        found["hosts"] = dict(reach.hosts)
    return found


def stack_secrets(
    granted: Granted, document: JsonObject, stack: str, versions: Mapping[str, str]
) -> dict[str, Secret]:
    """Return the Swarm secrets of `[sso.secrets]` by their full names: `stack_name_version`."""
    rendered = render_env(granted.recipe.secrets, document)
    return {
        f"{stack}_{name}_{versions.get(name, FIRST_VERSION)}": Secret(value)
        for name, value in rendered.items()
    }
