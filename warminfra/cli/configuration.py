"""`config show`: each value with its origin."""

from __future__ import annotations

from warminfra.cli import session
from warminfra.cli.output import Output, Plain, as_json, emit, table


def show(form: Output = Plain.HUMAN) -> None:
    """Show every setting with where it comes from. Secrets are masked."""
    from warminfra.config import rows

    found = rows(session.loaded())
    if form is Plain.JSON:
        settings = {key: {"value": value, "origin": origin} for key, value, origin in found}
        emit(as_json({"schema": "warminfra.config/v1", "settings": settings}))
    else:
        emit(table("settings", ("key", "value", "origin"), found))
