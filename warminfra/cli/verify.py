"""`audit verify`: is evidence as it was written, does what it shows show again, do audits agree?"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from isolation_checks.bundle import verify
from isolation_checks.counterexample import read, replay
from isolation_checks.engine import CHECKS
from isolation_checks.hunt import told
from isolation_checks.mutants.base import Mutant
from isolation_checks.scratch import scratch
from warminfra.cli import session
from warminfra.cli.output import emit
from warminfra.cli.prove import Order, prove
from warminfra.core.audit import AuditPackage
from warminfra.core.errors import Usage
from warminfra.service.composition import provider_package


def verified(
    folder: Path,
    *,
    recipe: str,
    rerun: int | None,
    report: Path | None,
    foreign: Sequence[Mutant] = (),
) -> bool:
    """Check the digests, replay each counterexample, audit anew if asked; say whether all holds.

    `rerun`: how many faults the new audit draws; `foreign` ones are planted besides.
    """
    wrong = verify(folder)
    for line in wrong:
        session.say(f"warminfra: {line}")
    if wrong:
        return False
    emit(f"{folder} is as it was written")
    holds = _replayed(folder, recipe)
    if rerun is not None:
        holds = _agrees(folder, recipe, rerun, report, foreign) and holds
    return holds


def _replayed(folder: Path, recipe: str) -> bool:
    """Show every counterexample again, on one fresh server."""
    documents = {
        file.name: read(file)
        for file in sorted(folder.glob("counterexample-*.json"), key=lambda one: one.name)
    }
    if not documents:
        emit("it holds no counterexample to replay")
        return True
    place = Path(recipe or next(iter(documents.values()))["recipe"])
    if not place.is_dir():
        raise Usage(f"the recipe's folder {place} is not here", hint="give it with --recipe")
    settings = session.loaded().settings
    package = cast("AuditPackage", provider_package("keycloak"))
    crossed = 0
    with scratch(settings, package, place, session.say) as server:
        for name, document in documents.items():
            try:
                server.abandon()  # what one that broke has left out
                again = replay(server, document, CHECKS) is not None
            except Exception as error:  # noqa: BLE001 - the others are replayed all the same
                emit(f"{name}: {document['finding']} COULD NOT BE TRIED: {told(error)}")
                continue
            crossed += again
            emit(f"{name}: {document['finding']} {'crosses again' if again else 'DOES NOT CROSS'}")
    return crossed == len(documents)


def _agrees(
    folder: Path, recipe: str, mutants: int, report: Path | None, foreign: Sequence[Mutant]
) -> bool:
    """Audit anew with a fresh seed, the verifier's own policy and server; compare."""
    theirs = json.loads((folder / "verdict.json").read_text())
    order = Order(
        theirs["profile"],
        theirs["lease_class"],
        recipe or theirs["recipe"],
        report,
        secrets.randbits(32),
        mutants,
    )
    outcome, ours = prove(order, foreign)
    for line in agreement(theirs, ours):
        emit(line)
    return bool(outcome == theirs["outcome"])


def agreement(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return in lines where two verdicts agree and where they do not."""
    lines = [f"outcome: {theirs['outcome']} then, {ours['outcome']} now"]
    same = theirs["fingerprint"] == ours["fingerprint"]
    lines.append(f"fingerprint: {'the same' if same else 'another'}")
    if not same:
        before, now = theirs["fingerprint_parts"], ours["fingerprint_parts"]
        changed = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        lines.append("  changed: " + ", ".join(changed))
    for what in ("findings", "covered"):
        then, now = set(theirs[what]), set(ours[what])
        lines.append(f"{what}: {len(then & now)} in both")
        lines += [f"  only then: {name}" for name in sorted(then - now)]
        lines += [f"  only now: {name}" for name in sorted(now - then)]
    return lines
