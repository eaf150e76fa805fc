"""`images mirror ACTION`: the pull-through mirror of this node."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import Output, Plain, Yes, as_json, emit
from warminfra.cli.warm_images import Warm, opened
from warminfra.core.errors import Unreachable

if TYPE_CHECKING:
    from warminfra.config.settings import Settings
    from warminfra.images.mirror import Mirror


class Action(StrEnum):
    """What to do with it."""

    STATUS = "status"
    START = "start"
    STOP = "stop"
    INSTALL = "install"
    UNINSTALL = "uninstall"


def mirror(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.STATUS,
    yes: Yes = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Start, stop, or look at the mirror of mirror.upstream; name it in the engine's settings.

    install adds it to registry-mirrors in the engine's daemon.json and has the engine read that
    again; uninstall takes out that one entry. An engine asks it for its default registry alone.
    """
    from warminfra.images.mirror import EngineConfiguration

    settings = session.loaded().settings
    found = mirror_of(settings)
    with opened() as warm:
        engine = EngineConfiguration(
            settings.engine.config_file,
            settings.engine.pid_file,
            lambda: warm.engine.facts().mirrors,
        )
        if action is Action.START:
            found.start()
        elif action is Action.STOP:
            found.stop()
        elif action is Action.INSTALL:
            session.confirm(f"add {found.url} to {engine.file} and reload the engine", yes=yes)
            found.start()
            engine.install(found.url)
        elif action is Action.UNINSTALL:
            session.confirm(f"take {found.url} out of {engine.file} and reload", yes=yes)
            engine.uninstall(found.url)
        used = _asked_by_engine(warm, found.url)
    pid = found.pid()
    if form is Plain.JSON:
        document = {"url": found.url, "upstream": found.upstream, "pid": pid}
        state = {"answers": found.answers(), "used": used, "stored_bytes": found.stored()}
        emit(as_json({"schema": "warminfra.mirror/v1", **document, **state}))
        return
    runs = f"runs (pid {pid})" if pid else "does not run"
    emit(f"mirror {found.url} of {found.upstream or 'nothing'} {runs}, "
         f"{found.stored() / 2**20:.1f} MiB stored; "
         f"the engine {'asks it' if used else 'does not ask it'}")  # fmt: skip


def _asked_by_engine(warm: Warm, url: str) -> bool:
    try:
        return url in [mirror.rstrip("/") for mirror in warm.engine.facts().mirrors]
    except Unreachable:
        return False


def mirror_of(settings: Settings) -> Mirror:
    """Return the mirror that the settings describe."""
    from warminfra.cli.processes import start_time
    from warminfra.images.mirror import Mirror

    return Mirror(
        settings.service.cache_dir / "mirror",
        settings.mirror.upstream,
        settings.mirror.port,
        settings.mirror.program,
        start_time,
    )
