"""What never was valid: the same form as a credential, by another signature or other characters."""

from __future__ import annotations

from dataclasses import replace

from warminfra.core.audit import Credential
from warminfra.core.entropy import SystemEntropy
from warminfra.core.secret import Secret
from warminfra_keycloak.audit import kinds
from warminfra_keycloak.audit.artifacts import FOR_NOBODY


def forged(credential: Credential, entropy: SystemEntropy) -> Credential:
    """Return one of the same form: the signature of another, or other random characters."""
    value = credential.value.reveal()
    context = {
        name: Secret(_resigned(secret.reveal(), entropy))
        if credential.kind == kinds.COOKIE or name.startswith("cookie ")
        else secret
        for name, secret in credential.context.items()
    }
    twin = context.get(FOR_NOBODY) or Secret(_resigned(value, entropy))
    return replace(credential, value=twin, context=context)


def _resigned(value: str, entropy: SystemEntropy) -> str:
    """Return the value with its signature, or its random part, replaced; the form stays."""
    if value.startswith("eyJ") and value.count(".") == 2:
        head, _, tail = value.rpartition(".")
        return f"{head}.{_drawn(tail, entropy)}"
    prefix, colon, tail = value.rpartition(":")
    return f"{prefix}{colon}{_drawn(tail, entropy)}"


def _drawn(value: str, entropy: SystemEntropy) -> str:
    fresh = (entropy.token(1) if one.isalnum() else one for one in value)
    return "".join(
        new.upper() if old.isupper() else new for old, new in zip(value, fresh, strict=True)
    )
