"""The decision table of `Which mode`, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from warminfra.core.acceptance import Acceptance
from warminfra.core.ids import VerdictId
from warminfra.core.models import SharingFacts, Verdict, Word
from warminfra.core.template import ClientSpec, Template
from warminfra.leasing.sharing import UNPROVEN, SharingPolicy, decide

NOW = datetime(2026, 1, 10, tzinfo=UTC)
TEMPLATE = Template("keycloak", "app", ClientSpec(redirect_uris=("https://{domain}/*",)))
VERDICT = Verdict(
    id=VerdictId("v1"),
    outcome="approve",
    profile="standard",
    lease_class="user",
    fingerprint="today",
    features=frozenset(),
    findings=(),
    created_at=NOW - timedelta(days=1),
)
APPROVED = Word(1, "approve", "v1", "rev", "", NOW, None)
ACCEPTED = Acceptance("X2", "code", "known upstream", NOW.date())
REVERTED = Word(2, "revert", "", "rev", "saw a leak", NOW, None)


def mode(
    verdicts: list[Verdict],
    words: list[Word],
    policy: SharingPolicy | None = None,
    template: Template = TEMPLATE,
) -> tuple[str, str]:
    facts = SharingFacts(tuple(verdicts), tuple(words))
    decision = decide(policy or SharingPolicy(), facts, "today", template, NOW)
    return decision.mode, decision.reason


def test_an_approved_verdict_in_date_shares() -> None:
    """All conditions hold: shared, and the verdict is named."""
    assert mode([VERDICT], [APPROVED]) == ("shared", "verdict v1 (standard)")


@pytest.mark.parametrize(
    ("verdict", "words", "why"),
    [
        (None, [], "no audit has approved"),
        (VERDICT, [], "waits for a reviewer"),
        (replace(VERDICT, outcome="inconclusive"), [APPROVED], "no audit has approved"),
        (replace(VERDICT, fingerprint="yesterday"), [APPROVED], "no audit has approved"),
        (replace(VERDICT, lease_class="admin"), [APPROVED], "no audit has approved"),
        (replace(VERDICT, profile="smoke"), [APPROVED], "weaker than standard"),
        (replace(VERDICT, created_at=NOW - timedelta(days=8)), [APPROVED], "older than 7 days"),
        (VERDICT, [replace(APPROVED, lifted_at=NOW)], "waits for a reviewer"),
        (VERDICT, [replace(APPROVED, subject="v2")], "waits for a reviewer"),
        (VERDICT, [APPROVED, REVERTED], "reverted by rev: saw a leak"),
    ],
)
def test_one_missing_condition_is_enough_to_refuse(
    verdict: Verdict | None, words: list[Word], why: str
) -> None:
    """Each condition alone closes the gate and is named."""
    got, reason = mode([verdict] if verdict else [], words)
    assert got == "dedicated"
    assert why in reason


def test_features_outside_the_verdict_are_not_shared() -> None:
    """A template with a feature that no audit has looked at is served dedicated."""
    fixed = replace(TEMPLATE, client=ClientSpec("fixed"))
    got, reason = mode([VERDICT], [APPROVED], template=fixed)
    assert (got, "client.fixed-id" in reason) == ("dedicated", True)
    covered = replace(VERDICT, features=frozenset({"client.fixed-id"}))
    assert mode([covered], [APPROVED], template=fixed)[0] == "shared"


def test_a_confirmed_revert_stands_until_each_finding_is_accepted() -> None:
    """A later approve of the same fingerprint does not audit a leak away."""
    revert = replace(VERDICT, id=VerdictId("v0"), outcome="revert", findings=("X2:code", "X5:id"))
    assert mode([revert, VERDICT], [APPROVED])[0] == "dedicated"
    code, id_ = ACCEPTED, replace(ACCEPTED, channel="X5", witness="id")
    assert "X5:id" in mode([revert, VERDICT], [APPROVED], SharingPolicy(accepted=(code,)))[1]
    both = SharingPolicy(accepted=(code, id_))
    assert mode([revert, VERDICT], [APPROVED], both)[0] == "shared"


def test_an_expired_acceptance_counts_no_more() -> None:
    """The day after, the revert stands again, and so does what an approve has let pass."""
    expired = SharingPolicy(accepted=(replace(ACCEPTED, until=NOW.date() - timedelta(days=1)),))
    revert = replace(VERDICT, id=VerdictId("v0"), outcome="revert", findings=("X2:code",))
    assert mode([revert, VERDICT], [APPROVED], expired)[0] == "dedicated"
    let_pass = replace(VERDICT, findings=("X2:code",))
    assert mode([let_pass], [APPROVED], SharingPolicy(accepted=(ACCEPTED,)))[0] == "shared"
    assert "no longer accepted: X2:code" in mode([let_pass], [APPROVED], expired)[1]


def test_what_only_a_tenants_admin_can_do_shuts_its_own_class() -> None:
    """A revert of class admin leaves class user open; one of class user shuts both."""
    admins = replace(VERDICT, id=VerdictId("v0"), outcome="revert", findings=("X13:a",))
    admins = replace(admins, lease_class="admin")
    assert mode([admins, VERDICT], [APPROVED])[0] == "shared"
    admin = replace(TEMPLATE, admin=True)
    covered = replace(VERDICT, lease_class="admin", features=frozenset({"admin"}))
    users = replace(admins, lease_class="user")
    assert mode([covered, users], [APPROVED], template=admin)[0] == "dedicated"


def test_an_inconclusive_audit_does_not_shut_an_approve_in_date() -> None:
    """A crash of a check says nothing against what was shown before."""
    later = replace(VERDICT, id=VerdictId("v2"), outcome="inconclusive", created_at=NOW)
    assert mode([VERDICT, later], [APPROVED])[0] == "shared"


def test_require_audit_needs_no_reviewer() -> None:
    """The operator may take the audit alone for enough."""
    assert mode([VERDICT], [], SharingPolicy(require="audit"))[0] == "shared"


def test_never_is_never() -> None:
    """Policy `never` beats any verdict."""
    assert mode([VERDICT], [APPROVED], SharingPolicy("never")) == ("dedicated", "policy never")


def test_unproven_shares_and_says_so_but_not_against_a_reviewer() -> None:
    """Without any verdict it shares; a person's revert still stands until it is lifted."""
    assert mode([], [], SharingPolicy("unproven")) == ("shared", UNPROVEN)
    assert mode([], [REVERTED], SharingPolicy("unproven"))[0] == "dedicated"
    lifted = replace(REVERTED, lifted_at=NOW)
    assert mode([], [lifted], SharingPolicy("unproven"))[0] == "shared"
