"""What the looks of the checks see, and what they leave alone."""

from __future__ import annotations

import hashlib

import pytest

from isolation_checks.checks.derived import derivations, guessable
from isolation_checks.checks.keys import secrets_of
from warminfra.core.entropy import SECRET_LENGTH, SystemEntropy
from warminfra_keycloak.audit.rows import parse

FACTS = {"id": "abcdefgh-23456789abcdefghijkmnpqr", "run": "job-17", "recipe": "docs"}


@pytest.mark.parametrize("secret", ["", "**********", "changeme", "hunter2hunter2", "a" * 64])
def test_a_secret_that_is_none_is_known(secret: str) -> None:
    """Empty, masked, short, or without variety."""
    assert guessable(secret)


def test_no_secret_of_ours_counts_as_weak() -> None:
    """In ten thousand draws."""
    entropy = SystemEntropy()
    assert not any(guessable(entropy.token(SECRET_LENGTH)) for _ in range(10_000))


@pytest.mark.parametrize(
    "secret",
    [
        hashlib.sha256(FACTS["run"].encode()).hexdigest(),
        hashlib.sha1(b"docs-job-17", usedforsecurity=False).hexdigest()[:20],
        "prefix-" + hashlib.sha512(FACTS["id"].encode()).hexdigest()[:32],
        FACTS["id"],
    ],
)
def test_a_secret_made_of_public_facts_is_known(secret: str) -> None:
    """Hashed, cut, joined with another fact, with something before it."""
    known = derivations(FACTS)
    assert any(part in secret for part in known)


def test_a_drawn_secret_is_made_of_nothing() -> None:
    """The dictionary does not hit by chance."""
    known, entropy = derivations(FACTS), SystemEntropy()
    for _ in range(1000):
        secret = entropy.token(SECRET_LENGTH)
        assert not any(part in secret for part in known)


def test_every_secret_of_a_document_is_found() -> None:
    """Handle, client, users, admin; names and ids are none."""
    document = {
        "id": "i",
        "handle": "h",
        "client": {"id": "c", "secret": "s"},
        "users": [{"username": "u", "password": "p"}],
        "admin": {"client_id": "a", "client_secret": "as"},
    }
    assert sorted(secrets_of(document)) == ["as", "h", "p", "s"]


SCRIPT = """\
CREATE CACHED TABLE "PUBLIC"."CLIENT"("ID" CHARACTER VARYING(36) NOT NULL);
-- 2 +/- SELECT COUNT(*) FROM PUBLIC.CLIENT;
INSERT INTO "PUBLIC"."CLIENT"("ID", "ENABLED", "SECRET", "NAME") VALUES('c1', TRUE, 'a''b', NULL);
INSERT INTO "PUBLIC"."CLIENT"("ID", "ENABLED", "SECRET", "NAME") VALUES('c2', FALSE, NULL, 'x(,y)');
INSERT INTO "PUBLIC"."COMPONENT_CONFIG"("ID", "NAME", "VALUE") VALUES('1', 'privateKey', 'KEY');
INSERT INTO "PUBLIC"."COMPONENT_CONFIG"("ID", "NAME", "VALUE") VALUES('2', 'priority', '100');
INSERT INTO "PUBLIC"."DATABASECHANGELOG"("ID") VALUES('old');
INSERT INTO "PUBLIC"."CREDENTIAL"("ID", "AT", "SECRET_DATA") VALUES('3', DATE '2026-01-01', 'v');
"""


def test_rows_are_read_with_their_secrets() -> None:
    """Quotes, NULL, brackets and commas in texts do not mislead; the log of migrations is left."""
    rows = list(parse(SCRIPT))
    assert [(row.table, row.texts) for row in rows[:3]] == [
        ("CLIENT", ("c1", "a'b")),
        ("CLIENT", ("c2", "x(,y)")),
        ("COMPONENT_CONFIG", ("1", "privateKey", "KEY")),
    ]
    assert [secret for row in rows for secret in row.secrets] == ["a'b", "KEY", "v"]
    assert "DATABASECHANGELOG" not in {row.table for row in rows}
