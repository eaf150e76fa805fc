"""`warminfra`: builds the app for the command that was called, and turns errors into exit codes.

Only the called command's module is imported. Errors become one line on stderr each, and the exit
code of their class, here and nowhere else.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.commands import COMMANDS, GROUPS, Command, called
from warminfra.cli.light import LightCommand, LightGroup
from warminfra.core.errors import (
    ConfigInvalid,
    Internal,
    RecipeInvalid,
    StorageFull,
    WarminfraError,
)

BEFORE_THE_COMMAND = 125
"""Exit code of `exec` for everything that goes wrong before its command starts."""

_COMPLETE = "_WARMINFRA_COMPLETE"


def main() -> None:
    """Run the command of `sys.argv` and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    name = called(arguments)
    try:
        app = build("" if _COMPLETE in os.environ else name)
        code = app(args=list(arguments) or ["--help"], prog_name="warminfra", standalone_mode=False)
        return (code or 0) if arguments else 2
    except typer.Abort:
        print("warminfra: nothing was done", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is one line, too
        if os.environ.get("WARMINFRA_DEBUG", "") == "1":
            import traceback

            traceback.print_exc()
        code = report(error, name)
        return BEFORE_THE_COMMAND if name == "exec" else code


def report(error: Exception, name: str) -> int:
    """Print `error` on stderr, one line for each thing wrong; return its exit code."""
    if isinstance(error, typer.TyperException):
        command = next((c.first_word for c in COMMANDS if c.first_word == name), "")
        hint = f"see `{' '.join(filter(None, ('warminfra', command)))} --help`"
        message = f"{_one_line(error.format_message()).rstrip('.')} ({hint})"
        code = error.exit_code
    else:
        ours = error if isinstance(error, WarminfraError) else _unexpected(error)
        if isinstance(ours, RecipeInvalid | ConfigInvalid):
            message = "\nwarminfra: ".join(str(ours).splitlines())
        else:
            message = _one_line(str(ours))
        code = ours.exit_code
    print(f"warminfra: {message}", file=sys.stderr)
    return code


def _unexpected(error: Exception) -> WarminfraError:
    if isinstance(error, OSError) and error.filename is not None:
        return StorageFull(
            f"{error.filename}: {error.strerror}", hint="free space, or make it writable"
        )
    return Internal(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    return "; ".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def build(only: str = "") -> typer.Typer:
    """Return the app with the commands whose first word is `only`, or with all."""
    wanted = [command for command in COMMANDS if command.first_word == only] or list(COMMANDS)
    # Typer formats help with rich, which takes longer to load than a lease to make.
    pretty = sys.stdout.isatty() and ("--help" in sys.argv or len(sys.argv) == 1)
    app = typer.Typer(
        name="warminfra",
        cls=LightGroup,
        help="Warm identity servers for a CI node, leased to each run and proven not to leak.",
        epilog=_epilog("warminfra up; warminfra exec --recipe lasuite-docs -- pytest", pretty),
        rich_markup_mode="rich" if pretty else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_global_options,
    )
    groups: dict[str, typer.Typer] = {}
    for command in wanted:
        home = app
        if " " in command.name:
            if command.first_word not in groups:
                groups[command.first_word] = _group(app, command.first_word, pretty)
            home = groups[command.first_word]
        _register(home, command, pretty)
    return app


def _group(app: typer.Typer, name: str, pretty: bool) -> typer.Typer:
    first = next(command for command in COMMANDS if command.first_word == name)

    def default(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            module = importlib.import_module(f"warminfra.cli.{first.module}")
            getattr(module, first.function)()

    group = typer.Typer(rich_markup_mode="rich" if pretty else None)
    app.add_typer(
        group,
        name=name,
        help=GROUPS[name],
        epilog=_epilog(first.example, pretty),
        callback=default,
        invoke_without_command=True,
    )
    return group


def _register(app: typer.Typer, command: Command, pretty: bool) -> None:
    module = importlib.import_module(f"warminfra.cli.{command.module}")
    settings = {"allow_interspersed_args": False} if command.takes_rest else {}
    app.command(
        command.name.split()[-1],
        cls=LightCommand,
        epilog=_epilog(command.example, pretty),
        context_settings={"help_option_names": ["-h", "--help"], **settings},
    )(getattr(module, command.function))


def _epilog(example: str, pretty: bool) -> str:
    # \b keeps the plain formatter from breaking the line; rich does not know it.
    return f"Example: {example}" if pretty else f"\b\nExample:\n  {example}"


def _version(wanted: bool) -> None:
    if wanted:
        from warminfra import __version__

        print(f"warminfra {__version__}")
        raise typer.Exit


def _global_options(
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a configuration key for this call."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    session.set_flags(settings or [])


if __name__ == "__main__":
    main()
