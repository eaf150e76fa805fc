"""Verdicts of audits that ended while no service ran: recorded by the next one at its start.

Else a revert could be lost by auditing while the service is down. The files lie in the state
directory (0600), written by `warminfra audit`; each goes once it is recorded.
"""

from __future__ import annotations

import structlog
from pydantic import AwareDatetime, ValidationError

from warminfra.core.ids import VerdictId
from warminfra.service.admin import recorded
from warminfra.service.composition import Parts
from warminfra.service.schemas import VerdictBody

log = structlog.get_logger()

FOLDER = "verdicts"


class _Kept(VerdictBody):
    """A verdict in a file, which says when its audit ended: it is as old as that."""

    created_at: AwareDatetime | None = None


def record_pending(parts: Parts) -> int:
    """Record them; return how many. What is no verdict is left where it is, and told."""
    count = 0
    for file in sorted((parts.settings.service.state_dir / FOLDER).glob("*.json")):
        try:
            body = _Kept.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            log.error("not a verdict", file=str(file), error=str(error).splitlines()[0])
            continue
        if parts.ledger.sharing.verdict(VerdictId(body.id)) is None:
            now = parts.clock.wall()
            recorded(parts, body, min(body.created_at or now, now))
            count += 1
        file.unlink()
    return count
