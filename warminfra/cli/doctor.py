"""`warminfra doctor`: looks at the host and says what to do. Fails if a lease cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from warminfra.cli import checks, session
from warminfra.cli.checks import Finding
from warminfra.cli.output import Output, Plain, as_json, emit
from warminfra.cli.snippet import Snippet, snippet
from warminfra.core.errors import ConfigInvalid


class Look(StrEnum):
    """What to look at besides the host."""

    HOST = "host"
    REACH = "reach"


def doctor(
    look: Annotated[
        Look, typer.Argument(metavar="[reach]", help="reach: the server, seen from a container.")
    ] = Look.HOST,
    network: Annotated[
        str, typer.Option("--network", help="reach: the container's network.")
    ] = "bridge",
    hosts: Annotated[
        bool, typer.Option("--hosts", help="reach: give the container a lease's host entries.")
    ] = False,
    image: Annotated[
        str,
        typer.Option(
            "--image", help="reach: an image with a python3; else this machine's in an empty one."
        ),
    ] = "",
    wanted: Annotated[
        Snippet | None,
        typer.Option("--print", help="Print a snippet for a host or a CI instead."),
    ] = None,
    form: Output = Plain.HUMAN,
) -> int:
    """Check this host: Python, Java, disk, memory, kernel, engine, sockets, service, provider.

    With reach: start a throwaway container on a network of the engine, and see that it resolves
    the server's name, trusts its certificate, and is told the issuer that leases name.
    Exit code 1 if anything fails. With --print no check is made.
    """
    if wanted is not None:
        emit(snippet(wanted))
        return 0
    if look is Look.REACH:
        from warminfra.cli.reach import look_from_container

        return _tell(look_from_container(network, image, with_hosts=hosts), form)
    found = [checks.python(), *checks.kernel(), checks.clock()]
    try:
        settings = session.loaded().settings
    except ConfigInvalid as error:
        found += [Finding("fail", "configuration", line, "") for line in str(error).splitlines()]
    else:
        found.append(Finding("ok", "configuration", "every key is known and fits"))
        found += checks.host(settings)
        found += checks.engine(settings)
        found += checks.service(settings)
    return _tell(found, form)


def _tell(found: Sequence[Finding], form: Plain) -> int:
    if form is Plain.JSON:
        rows = [finding.row() for finding in found]
        emit(as_json({"schema": "warminfra.doctor/v1", "checks": rows}))
    else:
        emit("\n".join(finding.line() for finding in found))
    return 1 if any(finding.level == "fail" for finding in found) else 0
