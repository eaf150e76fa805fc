"""`warminfra doctor`: looks at the host and says what to do. Fails if a lease cannot be had."""

from __future__ import annotations

from typing import Annotated

import typer

from warminfra.cli import checks, session
from warminfra.cli.checks import Finding
from warminfra.cli.output import Output, Plain, as_json, emit
from warminfra.cli.snippet import Snippet, snippet
from warminfra.core.errors import ConfigInvalid


def doctor(
    wanted: Annotated[
        Snippet | None,
        typer.Option("--print", help="Print a snippet for a host or a CI instead."),
    ] = None,
    form: Output = Plain.HUMAN,
) -> int:
    """Check this host: Python, Java, disk, memory, kernel, engine, sockets, service, provider.

    Exit code 1 if anything fails. With --print no check is made.
    """
    if wanted is not None:
        emit(snippet(wanted))
        return 0
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
    if form is Plain.JSON:
        rows = [finding.row() for finding in found]
        emit(as_json({"schema": "warminfra.doctor/v1", "checks": rows}))
    else:
        emit("\n".join(finding.line() for finding in found))
    return 1 if any(finding.level == "fail" for finding in found) else 0
