"""Draws the ids and secrets of one tenant: all fresh, none derived from anything."""

from __future__ import annotations

from warminfra.core.entropy import SECRET_LENGTH, Entropy
from warminfra.core.ids import TenantId
from warminfra.core.models import LeasedUser, TenantMaterial
from warminfra.core.template import Template


def draw_material(template: Template, tenant: TenantId, entropy: Entropy) -> TenantMaterial:
    """Return client id, secrets and passwords (160 bits each) for a tenant of `template`."""
    client_id = template.client.id_pattern.format(recipe=template.recipe, lease=tenant)
    users = tuple(
        LeasedUser(
            username=user.username,
            password=entropy.token(SECRET_LENGTH),
            email=user.email or f"{user.username}@example.test",
            first_name=user.first_name or user.username.capitalize(),
            last_name=user.last_name or "Example",
            roles=user.roles,
        )
        for user in template.users
    )
    return TenantMaterial(
        client_id=client_id,
        client_secret=entropy.token(SECRET_LENGTH),
        client_object=entropy.token(SECRET_LENGTH),
        users=users,
        admin_client_id=f"admin-{tenant}" if template.admin else "",
        admin_client_secret=entropy.token(SECRET_LENGTH) if template.admin else "",
    )
