"""Queries on `verdicts` and `words`: what audits ended with, and what reviewers said."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from warminfra.core.ids import VerdictId
from warminfra.core.models import SharingFacts, Verdict
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import verdicts, words

# Built once: each lease reads them.
_VERDICTS = select(verdicts).order_by(verdicts.c.created_at)
_WORDS = select(words).order_by(words.c.id)


def read_facts(tx: Connection) -> SharingFacts:
    """Read all that decides the mode, inside the caller's transaction."""
    return SharingFacts(
        verdicts=tuple(rows.verdict(row) for row in tx.execute(_VERDICTS).mappings()),
        words=tuple(rows.word(row) for row in tx.execute(_WORDS).mappings()),
    )


class Sharing:
    """Verdicts and words. Nothing is ever deleted; a word may be lifted."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def facts(self) -> SharingFacts:
        with self._db.read() as tx:
            return read_facts(tx)

    def record(self, verdict: Verdict) -> None:
        """Store how an audit ended."""
        with self._db.write() as tx:
            tx.execute(
                insert(verdicts).values(
                    id=verdict.id,
                    outcome=verdict.outcome,
                    profile=verdict.profile,
                    lease_class=verdict.lease_class,
                    fingerprint=verdict.fingerprint,
                    features=json.dumps(sorted(verdict.features)),
                    findings=json.dumps(verdict.findings),
                    created_at=verdict.created_at,
                )
            )

    def verdict(self, verdict: VerdictId) -> Verdict | None:
        with self._db.read() as tx:
            row = tx.execute(select(verdicts).where(verdicts.c.id == verdict)).mappings().first()
        return rows.verdict(row) if row else None

    def say(self, kind: str, subject: str, by: str, why: str, now: datetime) -> None:
        """Record a reviewer's word: approve, revert or accept."""
        with self._db.write() as tx:
            tx.execute(
                insert(words).values(kind=kind, subject=subject, by=by, why=why, said_at=now)
            )

    def alarm(self, subject: str, by: str, why: str, now: datetime) -> bool:
        """Record what a passive check saw; False if the same stands already."""
        with self._db.write() as tx:
            stands = tx.execute(
                select(words.c.id).where(
                    words.c.kind == "alarm",
                    words.c.subject == subject,
                    words.c.why == why,
                    words.c.lifted_at.is_(None),
                )
            ).first()
            if stands is None:
                tx.execute(
                    insert(words).values(kind="alarm", subject=subject, by=by, why=why, said_at=now)
                )
            return stands is None

    def lift(self, now: datetime) -> int:
        """Lift every standing revert and alarm; return how many there were."""
        with self._db.write() as tx:
            return tx.execute(
                update(words)
                .where(words.c.kind.in_(("revert", "alarm")), words.c.lifted_at.is_(None))
                .values(lifted_at=now)
            ).rowcount
