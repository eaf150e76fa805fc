"""Finds a stack's secrets, their versions, and the hints on how abra would make them.

The variable of a version is the one that the secret's name uses (`SECRET_DB_PASSWORD_VERSION`, or
without `_VERSION`); hints stand in the comment behind it in `.env`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from warminfra.recipes.dotenv import Variables, hints
from warminfra.recipes.interpolation import names_in
from warminfra.recipes.located import Table
from warminfra.recipes.model import Remark, SecretNeed
from warminfra.recipes.shape import where


def version_variables(files: Iterable[Table], section: str) -> dict[str, str]:
    """Return object name → variable of its version, from the files as they are written."""
    found: dict[str, str] = {}
    for file in files:
        body = file.get(section)
        for name, entry in body.items() if isinstance(body, Table) else ():
            given = entry.get("name") if isinstance(entry, Table) else None
            if isinstance(given, Table):  # external: {name: …}
                given = given.get("name")
            if not isinstance(given, str) and isinstance(entry, Table):
                external = entry.get("external")
                given = external.get("name") if isinstance(external, Table) else None
            for variable in names_in(given) if isinstance(given, str) else ():
                if variable not in ("STACK_NAME", "DOMAIN"):
                    found[name] = variable
    return found


def secrets(
    merged: Table,
    ours: Table,
    stack: str,
    variables: Mapping[str, str],
    app: Variables,
    sample: Variables,
    remarks: list[Remark],
) -> dict[str, SecretNeed]:
    """Return the stack's secrets by name. Hints of the app's own `.env` win over the sample's."""
    found = {}
    section = merged.get("secrets")
    for name, body in sorted(section.items()) if isinstance(section, Table) else ():
        body = body if isinstance(body, Table) else Table(merged.place)
        place = where(ours, "secrets", name)
        external = str(body.get("external")).lower() == "true"
        variable = variables.get(name, "")
        comments = [table[variable].comment for table in (sample, app) if variable in table]
        told = {key: word for text in comments for key, word in hints(text).items()}
        version = app[variable].value if variable in app else ""
        if variable and not version and external:
            remarks.append(Remark(place, f"secret {name}: {variable} is not set"))
        elif variable and not variable.endswith("_VERSION"):
            remarks.append(Remark(place, f"secret {name}: {variable} lacks _VERSION in its name"))
        length = told.get("length", "")
        found[name] = SecretNeed(
            name=name,
            full_name=str(body.get("name") or (name if external else f"{stack}_{name}")),
            version=version,
            external=external,
            place=place,
            length=int(length) if length.isdigit() else None,
            charset=told.get("charset", ""),
            generate=told.get("generate", "true").lower() != "false",
        )
    return found
