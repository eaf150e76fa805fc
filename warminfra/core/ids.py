"""Names that say who owns what.

A tenant's id is minted before the tenant is made and carries its installation's id, whole and
delimited: `owner_of` compares exactly, so installation `abc` never takes `abcd`'s tenants for its
own. The id is at the same time the lease's id and the provider's internal id (in Keycloak the
realm's `id`, at most 36 characters), which a tenant's own admin cannot change.
"""

from __future__ import annotations

import re
from typing import NewType

from warminfra.core.entropy import ALPHABET, Entropy

InstallationId = NewType("InstallationId", str)
TenantId = NewType("TenantId", str)
InstanceId = NewType("InstanceId", str)
TemplateHash = NewType("TemplateHash", str)
VerdictId = NewType("VerdictId", str)

_INSTALLATION_LENGTH = 8
_TOKEN_LENGTH = 26
_NAME_PREFIX = "wi-"
_TENANT = re.compile(rf"([{ALPHABET}]{{{_INSTALLATION_LENGTH}}})-([{ALPHABET}]{{{_TOKEN_LENGTH}}})")


def mint_installation_id(entropy: Entropy) -> InstallationId:
    """Return a new installation id: 40 bits, enough to tell installations on one server apart."""
    return InstallationId(entropy.token(_INSTALLATION_LENGTH))


def mint_tenant_id(installation: InstallationId, entropy: Entropy) -> TenantId:
    """Return a new tenant (and lease) id of `installation`, 35 characters, 130 random bits."""
    return TenantId(f"{installation}-{entropy.token(_TOKEN_LENGTH)}")


INSTANCE_PATTERN = "kc-????????"
"""What an instance's id, or the folder that is called so, looks like (a glob)."""


def mint_instance_id(entropy: Entropy) -> InstanceId:
    """Return a new instance id."""
    return InstanceId(f"kc-{entropy.token(8)}")


def owner_of(identifier: str) -> InstallationId | None:
    """Return the installation that minted `identifier`, or None if it is no tenant id at all."""
    match = _TENANT.fullmatch(identifier)
    return InstallationId(match.group(1)) if match else None


def tenant_name(tenant: TenantId) -> str:
    """Return the name under which the provider shows the tenant: `wi-<id>`, never used twice."""
    return _NAME_PREFIX + tenant
