"""`enroll`, `recipes`, `unenroll`.

A recipe is read here, before the service is asked: faults are told with the paths that were typed,
and without a running service.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warminfra.cli import session
from warminfra.cli.completion import recipe_names
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, table
from warminfra.cli.warm_images import free_unenrolled, warm_enrolled
from warminfra.core.errors import NotFound
from warminfra.core.models import JsonObject

if TYPE_CHECKING:
    from warminfra.recipes import RecipeFolder

AppEnv = Annotated[
    Path | None,
    typer.Option(
        "--app-env", metavar="FILE", help="The app's .env; the recipe's .env.sample if not given."
    ),
]


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
    app_env: AppEnv = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Lock, pull and pin its images.")
    ] = True,
    update: Annotated[
        bool, typer.Option("--update", help="Take what its tags mean now, where they have moved.")
    ] = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Read and check a recipe, fill its pool, bring its images here. Again after a change of it.

    Safe to interrupt: the next call does what is left.
    """
    from warminfra.recipes import recipe_name

    folder = path or Path(recipe)
    name = recipe_name(folder, recipe if path or folder.name == recipe else None)
    stack = check(folder, name, app_env)
    if stack is not None:
        for line in notes(stack):
            session.say(f"warminfra: {line}")
    with session.client(admin=True) as client:
        row = client.enroll(name, folder.resolve(), pool_min=pool_min, pool_max=pool_max)
    pulled = warm_enrolled(name, folder, stack, update=update) if images and stack else []
    if form is Plain.JSON:
        emit(as_json({**row, "pulled": pulled}))
        return
    for line in row["dropped"]:
        session.say(f"warminfra: left out of the realm file: {line}")
    changed = "enrolled" if row["changed"] else "enrolled as before"
    warm = f"; {len(pulled)} images pulled" if pulled else ""
    emit(f"{name}: {changed}; {row['mode']}: {row['mode_reason']}{warm}")


def check(folder: Path, name: str, app_env: Path | None) -> RecipeFolder | None:
    """Read all of a recipe, and raise all its faults at once; None if it has no compose file."""
    from warminfra.core.errors import RecipeInvalid
    from warminfra.recipes import read_recipe

    problems: list[str] = []
    stack = None
    try:
        read_recipe(folder, name)
    except RecipeInvalid as error:
        problems += error.problems
    try:
        stack = read_stack(folder, name, app_env)
    except RecipeInvalid as error:
        problems += error.problems
    if problems:
        raise RecipeInvalid(problems)
    return stack


def read_stack(folder: Path, name: str, app_env: Path | None) -> RecipeFolder | None:
    """Read what the recipe deploys; None if the folder has no compose file."""
    from warminfra.recipes import read_folder
    from warminfra.recipes.compose_files import existing

    if folder.is_dir() and not any(existing(folder)):
        return None
    if app_env is None:
        return read_folder(folder, name)
    try:
        env = app_env.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise NotFound(f"{app_env}: {why}", hint="give the app's .env") from None
    return read_folder(folder, name, env=env, env_file=str(app_env))


def notes(recipe: RecipeFolder) -> list[str]:
    """Return a line for each collision and each warning of the current version."""
    lines = [f"odd: {warning}" for warning in recipe.current.warnings]
    for found in recipe.current.collisions:
        if found.separation != "apart":
            lines.append(
                f"two runs collide: {found.place}: {found.what} "
                f"({found.severity}, {found.separation}: {found.how})"
            )
    return lines


def recipes(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]", help="One of them, or a folder.", autocompletion=recipe_names
        ),
    ] = None,
    app_env: AppEnv = None,
    form: Output = Plain.HUMAN,
) -> None:
    """List the enrolled recipes with their pools and modes; with RECIPE, all that it deploys."""
    if recipe is not None:
        _one(recipe, app_env, form)
        return
    with session.client() as client:
        rows = client.recipes()
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.recipes/v1", "recipes": rows}))
    else:
        emit(recipe_table(rows))


def _one(recipe: str, app_env: Path | None, form: Plain) -> None:
    from warminfra.recipes.report import report

    folder, name = Path(recipe), Path(recipe).resolve().name
    if not folder.is_dir():
        with session.client() as client:
            row = next((row for row in client.recipes() if row["name"] == recipe), None)
        if row is None:
            hint = "`warminfra recipes` lists them; a folder does as well"
            raise NotFound(f"no recipe {recipe!r} is enrolled", hint=hint)
        folder, name = Path(row["path"]), recipe
    found = read_stack(folder, name, app_env)
    if found is None:
        raise NotFound(f"{folder}: the recipe has no compose file", hint="it deploys nothing")
    emit(as_json(report(found)) if form is Plain.JSON else _told(found))


def _told(recipe: RecipeFolder) -> str:
    current, previous = recipe.current, recipe.previous
    before = f"upgrades from {previous.version}" if previous else "no version before it"
    services = [
        [service.name, service.image, str(service.replicas), " ".join(service.networks)]
        for service in current.services.values()
    ]
    others = [[use.reference, use.service, use.overlay] for use in current.images if not use.chosen]
    collisions = [
        [c.what, c.severity.value, c.separation.value, c.how, str(c.place)]
        for c in current.collisions
    ]
    return "\n".join(
        (
            f"{recipe.name} {current.version or 'without a version'}; {before}; "
            f"{', '.join(current.compose_files)}\n",
            table("services", ("name", "image", "replicas", "networks"), services),
            table("images of other overlays", ("image", "service", "overlay"), others),
            table("two runs", ("both want", "bad", "apart", "by", "place"), collisions),
            table("odd", ("place", "what"), [[str(w.place), w.text] for w in current.warnings]),
        )
    )


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
        freed = free_unenrolled(recipe)  # first: what is forgotten cannot be called again
        done = client.unenroll(recipe)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.unenrolled/v1", **done, "freed": freed}))
        return
    room = sum(int(row["bytes"]) for row in freed) / 2**20
    images = f"; {len(freed)} images removed, {room:.1f} MiB" if freed else ""
    emit(f"{recipe}: forgotten; {done['retired']} tenants are being removed{images}")
