"""Which mode, and why: a pure function of policy, verdicts, words, fingerprint, template and time.

`shared` needs every condition of the decision table; the first that fails is the reason given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from warminfra.core.acceptance import Acceptance
from warminfra.core.models import Decision, SharingFacts, Verdict
from warminfra.core.template import Template

PROFILES = ("smoke", "standard", "soak")
"""Audit profiles, weakest first."""

UNPROVEN = "policy unproven: nothing has proven that runs are isolated from each other"


ALARM = "alarm"
"""A word of the passive checks: it stands like a revert, but for policy `unproven`."""


@dataclass(frozen=True, slots=True)
class SharingPolicy:
    """The operator's settings `[sharing]`; never read from the repository under test."""

    policy: str = "proven"
    """proven, unproven (development, benchmarks) or never."""
    min_profile: str = "standard"
    max_age: timedelta = timedelta(days=7)
    require: str = "audit+reviewer"
    """audit+reviewer or audit."""
    accepted: tuple[Acceptance, ...] = ()
    """Findings that the reviewer lets stand; each counts until its day."""


def decide(
    policy: SharingPolicy,
    facts: SharingFacts,
    fingerprint: str,
    template: Template,
    now: datetime,
) -> Decision:
    """Return the mode in which a tenant of `template` may be served now, with the reason."""
    standing = [word for word in facts.words if word.lifted_at is None]
    for word in standing:
        if word.kind == "revert":
            return _dedicated(f"reverted by {word.by}: {word.why}")
    if policy.policy == "never":
        return _dedicated("policy never")
    if policy.policy == "unproven":
        return Decision("shared", UNPROVEN)

    for word in standing:
        if word.kind == ALARM:
            return _dedicated(f"{word.by} saw: {word.why}; look, then `warminfra lift`")

    ours = [verdict for verdict in facts.verdicts if verdict.fingerprint == fingerprint]
    accepted = {one.name for one in policy.accepted if one.stands(now)}
    for verdict in ours:
        # What only the admin of a tenant can do harms nobody where no admin shares.
        binds = verdict.lease_class in ("user", template.lease_class)
        open_findings = set(verdict.findings) - accepted
        if verdict.outcome == "revert" and binds and (open_findings or not verdict.findings):
            return _dedicated(
                f"verdict {verdict.id} is revert, not accepted: "
                + (", ".join(sorted(open_findings)) or "no finding named")
            )

    approvals = [
        verdict
        for verdict in ours
        if verdict.outcome == "approve" and verdict.lease_class == template.lease_class
    ]
    if not approvals:
        return _dedicated(
            f"no audit has approved class {template.lease_class} for this installation"
        )
    approved = {word.subject for word in standing if word.kind == "approve"}
    newest_first = sorted(approvals, key=lambda verdict: verdict.created_at, reverse=True)
    lacks = [_lacks(policy, verdict, approved, accepted, template, now) for verdict in newest_first]
    for verdict, lack in zip(newest_first, lacks, strict=True):
        if lack is None:
            return Decision("shared", f"verdict {verdict.id} ({verdict.profile})", verdict.id)
    return _dedicated(f"verdict {newest_first[0].id}: {lacks[0]}")


def _lacks(
    policy: SharingPolicy,
    verdict: Verdict,
    approved: set[str],
    accepted: set[str],
    template: Template,
    now: datetime,
) -> str | None:
    """Return what an approving verdict lacks for this template, None if nothing."""
    if PROFILES.index(verdict.profile) < PROFILES.index(policy.min_profile):
        return f"profile {verdict.profile} is weaker than {policy.min_profile}"
    if now - verdict.created_at > policy.max_age:
        return f"older than {policy.max_age}"
    expired = set(verdict.findings) - accepted
    if expired:
        return "no longer accepted: " + ", ".join(sorted(expired))
    uncovered = template.features - verdict.features
    if uncovered:
        return "does not cover " + ", ".join(sorted(uncovered))
    if policy.require == "audit+reviewer" and verdict.id not in approved:
        return "waits for a reviewer's `warminfra approve`"
    return None


def _dedicated(reason: str) -> Decision:
    return Decision("dedicated", reason)


@dataclass(frozen=True, slots=True)
class Gate:
    """The decision table with the installation's policy and today's fingerprint filled in."""

    policy: SharingPolicy
    fingerprint: Callable[[], str]

    def decide(self, facts: SharingFacts, template: Template, now: datetime) -> Decision:
        """See `decide`."""
        return decide(self.policy, facts, self.fingerprint(), template, now)
