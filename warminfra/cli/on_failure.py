"""`exec --on-failure hold:TIME`: what a failed command leaves is kept for a look."""

from __future__ import annotations

import signal
from datetime import datetime

from warminfra.cli import session
from warminfra.cli.lease_file import keep_lease_file
from warminfra.cli.output import as_json
from warminfra.core.errors import Usage, WarminfraError
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret

INTERRUPTED = 128 + signal.SIGINT
"""A person ended the command: that is no failure to look at."""


def hold_time(text: str) -> float:
    """Return the seconds of `hold:TIME`, 0 if nothing was asked for. Raises `Usage`."""
    if not text:
        return 0.0
    verb, colon, time = text.partition(":")
    if verb != "hold" or not colon:
        raise Usage(f"--on-failure {text!r} is not known", hint="write hold:2h")
    seconds = session.seconds("--on-failure", time)
    longest = session.loaded().settings.hold.max_time
    if not 0 < seconds <= longest.total_seconds():
        raise Usage(f"--on-failure {text!r} is longer than {longest}, or nothing",
                    hint="ask for less, or raise hold.max_time")  # fmt: skip
    return seconds


def hold(document: JsonObject, seconds: float, *, timeout: float) -> bool:
    """Hold the lease and say how to look at it and how to end it; or say why it is not held.

    Returns whether it is held, for all that is known.
    """
    settings = session.loaded().settings
    try:
        with session.client(timeout=timeout) as client:
            held = client.hold(document["id"], Secret(document["handle"]), seconds)
        until = datetime.fromisoformat(held["held_until"])
        file = keep_lease_file(
            settings.service.runtime_dir, document["id"], until, as_json(document)
        )
    except WarminfraError as error:
        message = " ".join(str(error).split())
        session.say(f"warminfra: lease {document['id']} is not held: {message}")
        return False
    session.say(
        f"warminfra: lease {document['id']} is held until {held['held_until']}; its document is "
        f"{file}; end it with: warminfra release {document['id']} --handle-file {file}"
    )
    return True
