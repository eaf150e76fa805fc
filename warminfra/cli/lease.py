"""`warminfra lease`: one lease document on stdout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.completion import recipe_names
from warminfra.cli.document import check_github, form_or_default, mask_before, write_lease
from warminfra.cli.handing import Handing
from warminfra.cli.output import Form, LeaseForm, Reveal, To
from warminfra.cli.progress import Progress
from warminfra.core.errors import Usage, WarminfraError
from warminfra.core.secret import Secret

Recipe = Annotated[
    str,
    typer.Option(
        "--recipe", envvar="WARMINFRA_RECIPE", help="Recipe.", autocompletion=recipe_names
    ),
]
Run = Annotated[str, typer.Option("--run", envvar="WARMINFRA_RUN", help="Label: id of the run.")]
Slot = Annotated[
    str, typer.Option("--slot", envvar="WARMINFRA_SLOT", help="Label: which lease of the run.")
]
Domain = Annotated[
    str,
    typer.Option(
        "--domain", envvar="WARMINFRA_DOMAIN", help="Domain for the client's redirect URIs."
    ),
]
Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        envvar="WARMINFRA_STACK",
        help="A Swarm stack, not deployed yet, that is removed with the lease.",
    ),
]
AppEnv = Annotated[
    Path | None,
    typer.Option("--app-env", help="The app's env file; the recipe's names are set in it."),
]
Overlay = Annotated[
    Path | None,
    typer.Option(
        "--overlay",
        help="Write a compose overlay here: host entries and CA for the stack's containers.",
    ),
]
KEY_VARIABLE = "WARMINFRA_KEY"
KEY_HELP = (
    "The same key (16 characters or more), run and slot get the same lease; it also ends all of "
    f"the run. It is a secret of the run: set {KEY_VARIABLE} rather than the option, which every "
    "user of the machine sees."
)
Wait = Annotated[str, typer.Option("--wait", help="How long to wait for a lease.")]


def lease(
    recipe: Recipe,
    run: Run = "",
    slot: Slot = "",
    key: Annotated[str, typer.Option("--key", envvar=KEY_VARIABLE, help=KEY_HELP)] = "",
    ttl: Annotated[str, typer.Option("--ttl", help="Life without renewal, as 30m.")] = "",
    domain: Domain = "",
    stack: Stack = "",
    app_env: AppEnv = None,
    overlay: Overlay = None,
    bind_pid: Annotated[
        str,
        typer.Option(
            "--bind-pid",
            metavar="PID|self",
            help="End the lease when this process dies; self: the one that calls warminfra.",
        ),
    ] = "",
    wait: Wait = "2m",
    form: LeaseForm = None,
    to: To = None,
    reveal: Reveal = False,
) -> None:
    """Lease a tenant: a realm, client and users of this run's own.

    Without a key each call is a new lease. In a CI the document goes to stdout only with --reveal.
    With --stack the lease owns that Swarm stack, and the recipe's Swarm secrets are made for it.
    """
    handing = Handing(stack, app_env, overlay)
    chosen = form_or_default(form, to)
    check_github(chosen, to)
    if to is None and chosen is not Form.GITHUB and session.in_ci() and not reveal:
        raise Usage(
            "a lease is full of secrets, and a CI keeps what is printed",
            hint="write it with --to FILE, or print it with --reveal",
        )
    ttl_s = session.seconds("--ttl", ttl) if ttl else 0.0
    process = _process(bind_pid)
    wait_s = session.seconds("--wait", wait)
    with session.client() as client:
        handing.look(client, recipe)
        with Progress() as progress:
            document = client.acquire(
                recipe,
                key=Secret(key) if key else None,
                run=run,
                slot=slot,
                ttl=ttl_s,
                domain=domain,
                bind_pid=process,
                stack=stack,
                secret_versions=handing.secret_versions,
                wait=wait_s,
                on_wait=lambda reason: progress.update(f"waiting for a lease: {reason}"),
            )
        try:
            handing.write(document)
            if reveal:
                mask_before(document, chosen)
            write_lease(document, chosen, to, reveal=True)
        except BaseException:
            # Nobody has the handle, so nobody could end the lease. With a key it can be had again.
            if not key:
                try:
                    client.release(document["id"], Secret(document["handle"]))
                except WarminfraError as error:
                    session.say(f"warminfra: lease {document['id']} stays until its end: {error}")
            raise


def _process(text: str) -> int:
    """Return the process that a lease is to be bound to, 0 for none. Raises `Usage`."""
    if text == "self":
        return os.getppid()
    if text and not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise Usage(f"--bind-pid {text!r} is no process", hint="give a number, as $$, or self")
    return int(text or 0)


def handle_from(file: Path) -> Secret:
    """Return the handle in `file`: alone, or in a lease document. Raises `Usage`."""
    import json

    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(
            f"--handle-file {file}: {getattr(error, 'strerror', None) or 'not a text'}",
            hint="name a file with the handle or with the lease document",
        ) from None
    if not text.startswith("{"):
        return Secret(text)
    try:
        return Secret(str(json.loads(text)["handle"]))
    except (ValueError, KeyError):
        raise Usage(
            f"--handle-file {file}: a JSON document without a handle",
            hint="write it with `warminfra lease -o json --to FILE`",
        ) from None
