"""`images ls|lock|pull|verify|prune`: the warm image set."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.completion import recipe_names
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, table
from warminfra.cli.warm_images import Recipe, Warm, opened, warm_up
from warminfra.core.errors import NotFound
from warminfra.core.models import JsonObject

RecipeOption = Annotated[
    str, typer.Option("--recipe", help="An enrolled recipe.", autocompletion=recipe_names)
]
PathOption = Annotated[
    Path | None, typer.Option("--path", help="Its folder, if it is not enrolled.")
]


def ls(form: Output = Plain.HUMAN) -> None:
    """List what is held: size, what it shares, pin, last use, and which recipe needs it."""
    from warminfra.images.pins import Pins
    from warminfra.images.retention import sharing

    with opened() as warm:
        images = {image.id: image for image in warm.engine.images(sizes=True)}
        pins = Pins(warm.engine, warm.store.owner()).of(warm.engine.containers())
        holdings = warm.store.read()
    pinned = {pin.image for pin in pins if pin.running}
    rows: list[JsonObject] = []
    for entry in sorted(holdings.held.values(), key=lambda entry: entry.name):
        image = images.get(entry.image)
        rows.append(
            {
                "name": ", ".join(entry.tags) or entry.name,
                "digest": entry.name.partition("@")[2],
                "here": image is not None and entry.name in image.digests,
                "bytes": image.size if image else 0,
                "shared_bytes": sharing(image, list(images.values())) if image else 0,
                "pinned": entry.image in pinned,
                "ours": entry.ours,
                "last_used": _time(entry.last_used),
                "recipes": list(entry.recipes),
            }
        )
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.images/v1", "images": rows}))
        return
    emit(
        table(
            "images",
            ("image", "here", "MiB", "shared", "pinned", "last used", "recipes"),
            [
                [
                    row["name"],
                    "yes" if row["here"] else "no",
                    f"{row['bytes'] / 2**20:.1f}",
                    f"{row['shared_bytes'] / 2**20:.1f}",
                    "yes" if row["pinned"] else "no",
                    row["last_used"],
                    ", ".join(row["recipes"]) or "-",
                ]
                for row in rows
            ],
        )
    )


def lock(
    recipe: RecipeOption = "",
    path: PathOption = None,
    update: Annotated[
        bool, typer.Option("--update", help="Look every name up anew, not only new ones.")
    ] = False,
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", help="Also write a compose overlay that deploys by digest."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Write what each image name of a recipe means now to its warminfra.lock.

    Names that are locked keep their digest; --update shows what has changed, and asks.
    """
    from warminfra.images.lock import changes, write_lock
    from warminfra.images.resolve import resolve

    with opened() as warm:
        registry, found = warm.registry, warm.recipe(recipe, path)
        before = found.lock
        after = resolve(found.name, found.wanted, registry, None if update else before)
    changed = changes(before, after)
    if form is Plain.JSON:
        rows = [
            {"name": str(c.name), "before": c.before or None, "after": c.after or None}
            for c in changed
        ]
        floating = [str(entry.name) for entry in after.images if entry.name.floating]
        document = {"file": str(found.lock_file), "changes": rows, "floating": floating}
        emit(as_json({"schema": "warminfra.lock-changes/v1", **document}))
    else:
        emit("\n".join([str(change) for change in changed] or ["nothing has changed"]))
        for entry in after.images:
            if entry.name.floating:
                session.say(f"warminfra: {entry.name}: a floating tag; only its digest stays")
    moved = [change for change in changed if change.before and change.after]
    if dry_run:
        return
    if moved:
        session.confirm(f"write {len(moved)} changed digests to {found.lock_file}", yes=yes)
    if before is None or before.to_json() != after.to_json():
        write_lock(found.lock_file, after)
    if overlay is not None:
        write_overlay(found, overlay)


def write_overlay(found: Recipe, file: Path) -> None:
    """Write the compose overlay that names the locked digests of the version in the folder."""
    from warminfra.core.files import write_private
    from warminfra.images.lock import overlay
    from warminfra.images.reference import parse_reference

    locked = found.lock
    services = {}
    for use in found.read.current.images:
        entry = locked.get(parse_reference(use.reference)) if locked and use.chosen else None
        if entry is not None:
            services[use.service] = entry
    write_private(file, overlay(services))
    file.chmod(0o644)


def pull(
    recipe: RecipeOption = "",
    path: PathOption = None,
    deadline: Annotated[str, typer.Option("--deadline", help="Longest time, as 30m.")] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Take what tags mean now, where they have moved.")
    ] = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Bring every locked image of a recipe here and pin it.

    A tag that has moved since it was locked is told before anything is pulled, and nothing is.
    """
    limit = session.seconds("--deadline", deadline) if deadline else None
    with opened() as warm:
        measures = warm_up(warm, warm.recipe(recipe, path), update=update, limit=limit)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.pulled/v1", "images": measures}))
    else:
        emit(pulled_table(measures) if measures else "everything was here already")


def pulled_table(rows: list[JsonObject]) -> str:
    """Return what was pulled as a table."""
    return table(
        "pulled",
        ("image", "MiB", "resolve", "download", "extract", "total"),
        [
            [row["name"], f"{row['bytes'] / 2**20:.1f}"]
            + [f"{row[key]:.2f} s" for key in ("resolve_s", "download_s", "extract_s", "total_s")]
            for row in rows
        ],
    )


def verify(
    recipe: RecipeOption = "",
    path: PathOption = None,
    stack: Annotated[
        str, typer.Option("--stack", help="Compare what this stack runs with the lock instead.")
    ] = "",
    form: Output = Plain.HUMAN,
) -> int:
    """Say whether a run that starts now would download anything.

    With --stack: whether each container runs what is locked. Exit code 1 if not.
    """
    from dataclasses import asdict

    from warminfra.images.warmth import look

    with opened() as warm:
        registry, found = warm.registry, warm.recipe(recipe, path)
        if stack:
            rows = _ran(warm, found, stack)
        else:
            looked = look(found.wanted, found.lock, warm.engine, registry, warm.store)
            rows = [asdict(row) for row in looked]
    good = all(row["same"] if stack else row["warm"] for row in rows)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.warmth/v1", "warm": good, "images": rows}))
    elif stack:
        lines = [(row["service"], "same" if row["same"] else "OTHER", row["note"]) for row in rows]
        emit(table(f"stack {stack}", ("service", "", "note"), [list(line) for line in lines]))
    else:
        words = {True: "warm", False: "COLD"}
        lines = [(row["name"], words[row["warm"]], row["note"]) for row in rows]
        emit(table(found.name, ("image", "", "note"), [list(line) for line in lines]))
    return 0 if good else 1


def _ran(warm: Warm, found: Recipe, stack: str) -> list[JsonObject]:
    from dataclasses import asdict

    from warminfra.engine.connection import engine_host
    from warminfra.engine.stacks import DockerStacks
    from warminfra.images.warmth import compare

    locked = found.lock
    if locked is None:
        raise NotFound(f"{found.lock_file}: no lock", hint="`warminfra images lock`")
    stacks = DockerStacks(engine_host(warm.settings.engine.host))
    running = stacks.images(stack)
    stacks.close()
    if not running:
        raise NotFound(f"no stack {stack!r} runs here", hint="deploy it first")
    return [asdict(row) for row in compare(locked, running, warm.engine.images())]


def prune(
    everything: Annotated[
        bool, typer.Option("--all", help="All that no recipe needs, whatever the budget allows.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Remove images of ours that no recipe needs and no container has, least lately used first.

    Down to `images.budget`; without one, all of them. Layers that stay are not counted.
    """
    from warminfra.images.retention import plan, remove

    with opened() as warm:
        found = plan(warm.engine, warm.store, 0 if everything else warm.settings.images.budget)
        what = f"remove {len(found.candidates)} images, {found.freed / 2**20:.1f} MiB"
        rows = [{"name": c.entry.name, "bytes": c.freed} for c in found.candidates]
        if rows and not dry_run:
            session.confirm(what, yes=yes)
            gone = remove(warm.engine, warm.store, found.candidates)
            rows = [{"name": c.entry.name, "bytes": c.freed} for c in gone]
    freed = sum(int(str(row["bytes"])) for row in rows)
    if form is Plain.JSON:
        document = {"dry_run": dry_run, "freed_bytes": freed, "removed": rows}
        emit(as_json({"schema": "warminfra.pruned/v1", **document, "kept": dict(found.kept)}))
        return
    verb = "would remove" if dry_run else "removed"
    emit("\n".join([f"{verb} {row['name']}" for row in rows] or ["nothing to remove"]))
    if rows:
        emit(f"{freed / 2**20:.1f} MiB {'would be ' if dry_run else ''}freed")


def _time(epoch: float) -> str:
    moment = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
