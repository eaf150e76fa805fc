"""`enroll`, `recipes`, `unenroll`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.completion import recipe_names
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, table
from warminfra.core.errors import NotFound
from warminfra.core.models import JsonObject


def enroll(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Its name, or its folder.")],
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Its folder; ./RECIPE if not given.")
    ] = None,
    pool_min: Annotated[
        int | None, typer.Option("--pool-min", min=0, help="Ready tenants to keep.")
    ] = None,
    pool_max: Annotated[
        int | None, typer.Option("--pool-max", min=0, help="Most ready tenants.")
    ] = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Read and check a recipe, and fill its pool. Again after a change of the recipe."""
    from warminfra.recipes import read_recipe, recipe_name

    folder = path or Path(recipe)
    name = recipe_name(folder, recipe if path or folder.name == recipe else None)
    # Faults are told with the paths that were typed, and without a running service.
    read_recipe(folder, name)
    with session.client(admin=True) as client:
        row = client.enroll(name, folder.resolve(), pool_min=pool_min, pool_max=pool_max)
    if form is Plain.JSON:
        emit(as_json(row))
        return
    for line in row["dropped"]:
        session.say(f"warminfra: left out of the realm file: {line}")
    changed = "enrolled" if row["changed"] else "enrolled as before"
    emit(f"{name}: {changed}; {row['mode']}: {row['mode_reason']}")


def recipes(form: Output = Plain.HUMAN) -> None:
    """List the enrolled recipes with their pools and modes."""
    with session.client() as client:
        rows = client.recipes()
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.recipes/v1", "recipes": rows}))
    else:
        emit(recipe_table(rows))


def recipe_table(rows: list[JsonObject]) -> str:
    """Return the recipes as a table."""
    return table(
        "recipes",
        ("name", "ready", "pool", "mode", "reason"),
        [
            [
                row["name"],
                str(row["pool"]["ready"]),
                f"{row['pool']['min']}–{row['pool']['max']}",
                row["mode"],
                row["mode_reason"],
            ]
            for row in rows
        ],
    )


def unenroll(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Its name.", autocompletion=recipe_names)
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Forget a recipe and remove its pool. Its leases run to their end."""
    with session.client(admin=True) as client:
        row = next((row for row in client.recipes() if row["name"] == recipe), None)
        if row is None:
            raise NotFound(
                f"no recipe {recipe!r} is enrolled", hint="`warminfra recipes` lists them"
            )
        what = f"forget recipe {recipe} and remove its {row['pool']['ready']} ready tenants"
        if dry_run:
            emit(f"would {what}")
            return
        session.confirm(what, yes=yes)
        done = client.unenroll(recipe)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.unenrolled/v1", **done}))
    else:
        emit(f"{recipe}: forgotten; {done['retired']} tenants are being removed")
