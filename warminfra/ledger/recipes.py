"""Queries on `recipes` and `templates`."""

from __future__ import annotations

import json

from sqlalchemy import bindparam, delete, insert, select

from warminfra.core.ids import TemplateHash
from warminfra.core.models import Recipe
from warminfra.core.template import Template, template_from_json
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import recipes, templates

# What is asked in every tick, built once.
_BY_NAME = select(recipes).where(recipes.c.name == bindparam("name"))
_ALL = select(recipes).order_by(recipes.c.name)


class Recipes:
    """The enrolled recipes and every template that a tenant was made from."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._templates: dict[TemplateHash, Template] = {}

    def enroll(self, recipe: Recipe, template: Template) -> None:
        """Enrol, or replace the settings of, a recipe; its template is stored with it."""
        values = {
            "name": recipe.name,
            "path": recipe.path,
            "template_hash": template.hash,
            "env": json.dumps(dict(recipe.env)),
            "secrets": json.dumps(dict(recipe.secrets)),
            "pool_min": recipe.pool_min,
            "pool_max": recipe.pool_max,
            "enrolled_at": recipe.enrolled_at,
        }
        with self._db.write() as tx:
            known = tx.execute(select(templates.c.hash).where(templates.c.hash == template.hash))
            if known.first() is None:
                tx.execute(
                    insert(templates).values(hash=template.hash, document=template.to_json())
                )
            tx.execute(delete(recipes).where(recipes.c.name == recipe.name))
            tx.execute(insert(recipes).values(**values))

    def unenroll(self, name: str) -> bool:
        """Forget a recipe; its pooled tenants are retired by the pool, its leases run on."""
        with self._db.write() as tx:
            return tx.execute(delete(recipes).where(recipes.c.name == name)).rowcount == 1

    def get(self, name: str) -> Recipe | None:
        with self._db.read() as tx:
            row = tx.execute(_BY_NAME, {"name": name}).mappings().first()
        return rows.recipe(row) if row else None

    def all(self) -> list[Recipe]:
        """Return the enrolled recipes by name."""
        with self._db.read() as tx:
            found = tx.execute(_ALL).mappings()
            return [rows.recipe(row) for row in found]

    def template(self, template_hash: TemplateHash) -> Template:
        """Return a stored template; KeyError if there is none. They never change, so each is read
        once."""
        known = self._templates.get(template_hash)
        if known is not None:
            return known
        query = select(templates.c.document).where(templates.c.hash == template_hash)
        with self._db.read() as tx:
            document = tx.execute(query).scalar_one_or_none()
        if document is None:
            raise KeyError(template_hash)
        return self._templates.setdefault(template_hash, template_from_json(document))
