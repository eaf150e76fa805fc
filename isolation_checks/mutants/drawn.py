"""Mutants of the draw: secrets that are not fresh, or none (M12 to M15)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from isolation_checks.scratch import Scratch
from warminfra.core.entropy import Entropy
from warminfra.core.ids import TenantId
from warminfra.core.models import TenantMaterial
from warminfra.core.template import Template
from warminfra.leasing.material import draw_material

Spoil = Callable[[TenantMaterial, TenantId], TenantMaterial]


def spoiled(spoil: Spoil) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant a draw whose result is spoiled."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        def draw(template: Template, tenant: TenantId, entropy: Entropy) -> TenantMaterial:
            return spoil(draw_material(template, tenant, entropy), tenant)

        scratch.plant.draw = draw
        try:
            yield
        finally:
            scratch.plant.clear()

    return planted


def one_client_secret(material: TenantMaterial, _: TenantId) -> TenantMaterial:
    """M12: every lease has the same client secret."""
    return replace(material, client_secret="the-same-for-every-lease-of-all")


def masked_secret(material: TenantMaterial, _: TenantId) -> TenantMaterial:
    """M13: the secret is what an export shows in its place."""
    return replace(material, client_secret="**********")


def secret_from_the_id(material: TenantMaterial, tenant: TenantId) -> TenantMaterial:
    """M14: the secret is different for each lease, and a function of the lease's public id."""
    return replace(material, client_secret=hashlib.sha256(tenant.encode()).hexdigest())


def same_passwords(material: TenantMaterial, _: TenantId) -> TenantMaterial:
    """M15: users of the same name have the same password everywhere."""
    users = tuple(
        replace(user, password=f"password-of-{user.username}-0123456789") for user in material.users
    )
    return replace(material, users=users)


def same_client(material: TenantMaterial, _: TenantId) -> TenantMaterial:
    """M12 and a fixed client id: the client of one lease is that of all."""
    return replace(material, client_id="the-app", client_secret="the-same-for-every-lease-of-all")
