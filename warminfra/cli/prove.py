"""Runs an audit from the command line: progress out, evidence written, the verdict recorded."""

from __future__ import annotations

import platform
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import isolation_checks
from isolation_checks.bundle import write
from isolation_checks.engine import PROFILES, Audit
from isolation_checks.events import Event
from isolation_checks.reports.console import line, summary
from isolation_checks.verdict import Outcome
from warminfra import __version__
from warminfra.cli import session
from warminfra.core.audit import AuditPackage
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import NotFound, Unreachable, Usage, WarminfraError
from warminfra.core.models import JsonObject
from warminfra.service.composition import provider_package

CLASSES = ("user", "admin")


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    profile: str
    lease_class: str
    recipe: str
    report: Path | None
    seed: int


def prove(order: Order, *, self_test: bool) -> tuple[str, JsonObject]:
    """Run it; return the outcome and the verdict document. Raises `Usage`, `NotFound`."""
    if order.profile not in PROFILES:
        raise Usage(f"no profile {order.profile!r}", hint="there are " + ", ".join(PROFILES))
    if order.lease_class not in CLASSES:
        raise Usage(f"no class {order.lease_class!r}", hint="user or admin")
    settings = session.loaded().settings
    audit = Audit(
        settings,
        cast("AuditPackage", provider_package("keycloak")),
        _recipe(order),
        PROFILES[order.profile],
        order.seed or secrets.randbits(32),
        _tell,
        self_test=self_test,
    )
    outcome = audit.run()
    for text in summary(outcome):
        session.say(text)
    if self_test:
        seen = sum(1 for mutant in outcome.mutants if mutant.killed_by)
        session.say(f"self-test: {seen} of {len(outcome.mutants)} planted faults were seen")
        return ("approve" if seen == len(outcome.mutants) else "revert"), {}
    document = _document(order, audit, outcome)
    if order.report:
        head = _head(order, audit, document)
        write(order.report, document, head, audit.events, outcome, audit.inventory)
        session.say(f"evidence: {order.report}")
    _record(document)
    return outcome.outcome, document


def _tell(event: Event) -> None:
    text = line(event)
    if text:
        session.say(text)


def _recipe(order: Order) -> Path:
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


def _document(order: Order, audit: Audit, outcome: Outcome) -> JsonObject:
    return {
        "schema": "warminfra.verdict/v1",
        "id": f"v-{SystemEntropy().token(10)}",
        "outcome": outcome.outcome,
        "reasons": list(outcome.reasons),
        "profile": order.profile,
        "lease_class": audit.lease_class or order.lease_class,
        "fingerprint": audit.fingerprint,
        "fingerprint_parts": audit.fingerprint_parts,
        "features": sorted(audit.features),
        "findings": [finding.name for finding in outcome.findings],
        "confirmed": list(outcome.confirmed),
        "covered": list(outcome.covered),
        "not_covered": list(outcome.not_covered),
        "programs": outcome.programs,
        "bound": outcome.bound,
        "seed": audit.seed,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _head(order: Order, audit: Audit, document: JsonObject) -> dict[str, str]:
    return {
        "verdict": str(document["id"]),
        "attacker": f"class {document['lease_class']}",
        "template's features": ", ".join(document["features"]) or "none",
        "fingerprint": str(document["fingerprint"]),
        "profile": order.profile,
        "seed": str(audit.seed),
        "warminfra": __version__,
        "host": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def _record(document: JsonObject) -> None:
    """Tell the service, if it runs; a verdict of another state of it opens nothing there."""
    if len(str(document["fingerprint"])) != 64:
        session.say("the verdict is not recorded: the scratch installation did not come up")
        return
    try:
        with session.client(admin=True) as client:
            row = client.record_verdict(document)
    except Unreachable:
        session.say("the verdict is not recorded: the service does not run")
    except WarminfraError as error:
        session.say(f"the verdict is not recorded: {error}")
    else:
        current = (
            "" if row["current"] else ", of another state than the service's: it opens nothing"
        )
        session.say(f"verdict {document['id']} is recorded{current}")
