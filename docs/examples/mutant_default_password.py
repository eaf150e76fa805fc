"""A mutant of one's own: every leased user has the same password, as lazy test set-ups have.

warminfra audit --mutant docs/examples/mutant_default_password.py
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from isolation_checks.mutants.base import Mutant
from isolation_checks.scratch import Scratch
from warminfra.core.entropy import Entropy
from warminfra.core.ids import TenantId
from warminfra.core.models import TenantMaterial
from warminfra.core.template import Template
from warminfra.leasing.material import draw_material


@contextmanager
def default_password(scratch: Scratch) -> Iterator[None]:
    """Plant a draw of secrets whose passwords are all the same; take it away afterwards."""

    def draw(template: Template, tenant: TenantId, entropy: Entropy) -> TenantMaterial:
        material = draw_material(template, tenant, entropy)
        users = tuple(replace(user, password="correct horse") for user in material.users)
        return replace(material, users=users)

    scratch.plant.draw = draw
    try:
        yield
    finally:
        scratch.plant.clear()


MUTANT = Mutant("Z01", "one default password", "X4", default_password)
