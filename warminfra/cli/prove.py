"""Runs an audit from the command line: progress out, evidence written, the verdict recorded."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import structlog

import isolation_checks
from isolation_checks import history
from isolation_checks.bundle import require_new, write
from isolation_checks.counterexample import files, replays
from isolation_checks.engine import Audit
from isolation_checks.events import CHANNELS, Event, Known
from isolation_checks.figures import pace
from isolation_checks.mutants.base import Mutant
from isolation_checks.plan import ATTACKERS, PROFILES
from isolation_checks.reports.console import line, summary
from isolation_checks.verdict import Outcome
from warminfra import __version__
from warminfra.cli import session
from warminfra.cli.subreaper import die_with_parent
from warminfra.config.settings import Settings
from warminfra.core.audit import AuditPackage
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    StorageFull,
    Unreachable,
    Usage,
    WarminfraError,
)
from warminfra.core.files import private_dir, write_private
from warminfra.core.models import JsonObject
from warminfra.service.composition import provider_package
from warminfra.service.reaudit import ENDS_WITH

CLASSES = tuple(ATTACKERS)
_DIGEST = 64
"""Characters of a digest, which tells a reader nothing."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    profile: str
    lease_class: str
    recipe: str
    report: Path | None
    seed: int
    mutants: int | None = None
    """How many are drawn; None: as the profile says."""

    def __post_init__(self) -> None:
        """Raise `Usage` for what there is not."""
        if self.profile not in PROFILES:
            raise Usage(f"no profile {self.profile!r}", hint="there are " + ", ".join(PROFILES))
        if self.lease_class not in CLASSES:
            raise Usage(f"no class {self.lease_class!r}", hint="user or admin")


def prove(order: Order, foreign: Sequence[Mutant] = ()) -> tuple[str, JsonObject]:
    """Run it; return the outcome and the verdict document. Raises `NotFound`, `Usage`.

    `foreign` mutants are planted besides those that are drawn. Where the faults are not drawn as
    the profile says, an `approve` is worth less than the profile's: only a `revert` is recorded.
    """
    _end_with_the_service()
    require_new(order.report)
    settings = session.loaded().settings
    standing = [one for one in settings.audit.accept if one.stands(datetime.now(UTC))]
    for one in standing:
        session.say(f"accepted by the reviewer's policy: {one}")
    verdict_id = f"v-{SystemEntropy().token(10)}"

    def tell(event: Event) -> None:
        if isinstance(event, Known):
            _note(settings, order, audit, verdict_id, history.UNFINISHED)
        text = line(event)
        if text:
            session.say(text)

    audit = Audit(
        settings,
        package(),
        recipe_of(order),
        PROFILES[order.profile],
        order.seed or secrets.randbits(32),
        tell,
        foreign=foreign,
        accepted=frozenset(one.name for one in standing),
        live_fingerprint=_live_fingerprint,
        drawn=order.mutants,
    )
    quiet_log()
    outcome = audit.run()
    for text in summary(outcome):
        session.say(text)
    session.say(f"{pace(audit.events):.2f} programs per second")
    document = _document(order, audit, outcome, verdict_id)
    shuts = outcome.outcome == "revert"
    if shuts:
        _record(document)  # before anything that may fail: a full disk keeps no gate open
    try:
        _note(settings, order, audit, verdict_id, outcome.outcome, outcome)
        if order.report:
            _write(settings, order, audit, outcome, document)
    except StorageFull as error:
        if shuts:
            session.say(f"warminfra: {error}")
            return outcome.outcome, document
        session.say(f"verdict: inconclusive: {error}")
        return "inconclusive", {**document, "outcome": "inconclusive", "reasons": [str(error)]}
    if order.mutants is not None:
        session.say("an audit for comparison is not recorded: it opens nothing")
    elif not shuts:
        _record(document)
    return outcome.outcome, document


def _write(
    settings: Settings, order: Order, audit: Audit, outcome: Outcome, document: JsonObject
) -> None:
    assert order.report  # noqa: S101 - the caller looked
    write(
        order.report,
        document,
        _head(order, audit, document),
        audit.events,
        outcome,
        audit.inventory,
        examples=files(audit.examples, document, audit.recipe),
        accepted=[str(one) for one in settings.audit.accept if one.name in audit.accepted],
        history=history.of(settings.service.state_dir, audit.fingerprint, audit.lease_class),
        replays=replays(audit.examples),
    )
    session.say(f"evidence: {order.report}")


def _note(
    settings: Settings,
    order: Order,
    audit: Audit,
    verdict_id: str,
    ended: str,
    outcome: Outcome | None = None,
) -> None:
    """Write down that the audit has begun, or how it ended."""
    entry = {
        "id": verdict_id,
        "created_at": _now(),
        "fingerprint": audit.fingerprint,
        "lease_class": audit.lease_class,
        "profile": order.profile,
        "outcome": ended,
        "findings": [one.name for one in outcome.findings] if outcome else [],
        "confirmed": list(outcome.confirmed) if outcome else [],
        "tried_again": outcome.tried_again if outcome else True,
    }
    history.note(settings.service.state_dir, entry)


def package() -> AuditPackage:
    """Return the provider's package, as one that can be audited."""
    return cast("AuditPackage", provider_package("keycloak"))


def quiet_log() -> None:
    """The scratch service's log is of no use to a reader: its troubles are the audit's events."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _end_with_the_service() -> None:
    """If a service has started this audit, end when that is gone, in whatever way."""
    service = os.environ.get(ENDS_WITH)
    if service:
        die_with_parent()
        if os.getppid() != int(service):
            raise Unreachable("the service that started this audit has ended")


def _live_fingerprint() -> str:
    """Ask the service; "" if it does not run."""
    try:
        with session.client() as client:
            return str(client.status()["fingerprint"])
    except WarminfraError:
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def recipe_of(order: Order) -> Path:
    """Return the folder of the recipe that is audited. Raises `NotFound`."""
    if not order.recipe:
        return Path(isolation_checks.__file__).parent / "recipes" / order.lease_class
    if Path(order.recipe).is_dir():
        return Path(order.recipe).resolve()
    with session.client() as client:
        for row in client.recipes():
            if row["name"] == order.recipe:
                return Path(row["path"])
    raise NotFound(
        f"{order.recipe!r} is neither a folder nor enrolled", hint="`warminfra recipes` lists them"
    )


def _document(order: Order, audit: Audit, outcome: Outcome, verdict_id: str) -> JsonObject:
    return {
        "schema": "warminfra.verdict/v1",
        "id": verdict_id,
        "outcome": outcome.outcome,
        "reasons": list(outcome.reasons),
        "profile": order.profile,
        "lease_class": audit.lease_class or order.lease_class,
        "recipe": str(audit.recipe),
        "fingerprint": audit.fingerprint,
        "fingerprint_parts": audit.fingerprint_parts,
        "features": sorted(audit.features),
        "findings": [finding.name for finding in outcome.findings],
        "confirmed": list(outcome.confirmed),
        "accepted": list(outcome.accepted),
        "cells": {"tried": outcome.cells_tried, "known": outcome.cells_known},
        "covered": list(outcome.covered),
        "not_covered": list(outcome.not_covered),
        "programs": outcome.programs,
        "bound": outcome.bound,
        "seed": audit.seed,
        "effort": audit.profile.effort,
        "cycles": audit.profile.cycles,
        "created_at": _now(),
    }


def _head(order: Order, audit: Audit, document: JsonObject) -> dict[str, str]:
    lease_class = str(document["lease_class"])
    server = {
        name.removeprefix("server."): told
        for name, told in audit.fingerprint_parts.items()
        if name.startswith("server.") and len(told) < _DIGEST
    }
    return {
        "verdict": str(document["id"]),
        "server": ", ".join(f"{name} {told}" for name, told in server.items()) or "did not start",
        "attacker": f"class {lease_class}: {ATTACKERS.get(lease_class, '')}",
        "recipe": order.recipe or f"the prover's own for class {lease_class}",
        "features that its template uses": ", ".join(document["features"]) or "none",
        "fingerprint": f"{audit.fingerprint or 'not known'} (of the server's build, options and "
        "Java, our code, the reach and the sharing policy: a verdict holds for this alone)",
        "profile": f"{order.profile}, which looks at "
        + ", ".join(one for one in CHANNELS if one in audit.profile.channels_of(lease_class)),
        "seed": f"{audit.seed} (draws the same programs and faults again)",
        "warminfra": __version__,
        "host": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def _keep(document: JsonObject, why: str) -> None:
    """Leave the verdict to the next start of the service."""
    try:
        folder = private_dir(session.loaded().settings.service.state_dir / "verdicts")
        write_private(folder / f"{document['id']}.json", json.dumps(document))
    except (WarminfraError, OSError) as error:
        session.say(f"{why}; the verdict is not recorded: {error}")
    else:
        session.say(f"{why}: it records the verdict when it starts")


def _record(document: JsonObject) -> None:
    """Tell the service, if it runs; a verdict of another state of it opens nothing there."""
    if len(str(document["fingerprint"])) != _DIGEST:
        session.say("the verdict is not recorded: the scratch installation did not come up")
        return
    try:
        with session.client(admin=True) as client:
            row = client.record_verdict(document)
    except (Conflict, NotAllowed) as error:
        session.say(f"the verdict is not recorded: {error}")
    except (WarminfraError, OSError) as error:
        away = isinstance(error, Unreachable)
        why = "the service does not run" if away else f"the service does not record it ({error})"
        _keep(document, why)
    else:
        current = (
            "" if row["current"] else ", of another state than the service's: it opens nothing"
        )
        session.say(f"verdict {document['id']} is recorded{current}")
