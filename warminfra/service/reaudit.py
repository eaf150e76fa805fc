"""Audits anew in idle time: when a recipe's newest verdict is older than `audit.schedule`.

The audit is a process of its own, at the lowest priority; it is ended as soon as a lease lives, and
with the service, however that ends. It records its verdict itself, which opens nothing that the
policy would not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from warminfra.core.models import Recipe, SharingFacts
from warminfra.core.states import LeaseState
from warminfra.leasing.sharing import PROFILES
from warminfra.service.composition import Parts

log = structlog.get_logger()

EVERY = 30.0
"""Seconds between two looks."""
AFTER_AN_AUDIT = 1800.0
"""Seconds until the next one of the same recipe, however the last ended."""

ENDS_WITH = "WARMINFRA_AUDIT_ENDS_WITH"
"""Variable that names the process with which an audit ends."""

Start = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["nice", "-n", "19", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, ENDS_WITH: str(os.getpid())},
    )


class Reaudit:
    """Looks now and then; at most one audit at a time."""

    def __init__(self, parts: Parts, start: Start = _start) -> None:
        self._parts = parts
        self._start = start
        self._running: subprocess.Popen[bytes] | None = None
        self._next = 0.0
        self._tried: dict[str, float] = {}

    def step(self) -> None:
        """Start an audit that is due, or end one that is in the way. Cheap; called often."""
        running = self._running
        if running is not None:
            if running.poll() is not None:
                log.info("the scheduled audit has ended", code=running.returncode)
                self._running = None
            elif self._busy():
                log.info("the scheduled audit is put off: a lease lives")
                self.end()
            return
        now = self._parts.clock.boot()
        if not self._parts.settings.audit.schedule or now < self._next or self._busy():
            return
        self._next = now + EVERY
        recipe = self.due()
        if recipe is not None:
            self._tried[recipe.name] = now
            profile = self._parts.settings.audit.profile
            command = ["audit", "--profile", profile, "--recipe", recipe.path]
            log.info("a scheduled audit begins", recipe=recipe.name, profile=profile)
            self._running = self._start([sys.executable, "-m", "warminfra.cli", *command])

    def due(self) -> Recipe | None:
        """Return a recipe without a verdict that is young and strong enough, of what runs now."""
        parts = self._parts
        if parts.settings.sharing.policy != "proven" or not parts.fingerprint.digest():
            return None
        facts, now = parts.ledger.sharing.facts(), parts.clock.boot()
        for recipe in parts.ledger.recipes.all():
            waits = now - self._tried.get(recipe.name, -AFTER_AN_AUDIT) < AFTER_AN_AUDIT
            if not waits and self._old(facts, recipe):
                return recipe
        return None

    def end(self) -> None:
        """End the audit that runs; what it made goes with it."""
        if self._running is not None:
            with suppress(OSError):
                self._running.kill()
            self._running.wait()
            self._running = None

    def _old(self, facts: SharingFacts, recipe: Recipe) -> bool:
        parts = self._parts
        template = parts.manager.template(recipe.template_hash)
        fingerprint, now = parts.fingerprint.digest(), parts.clock.wall()
        needed = PROFILES.index(parts.settings.sharing.min_profile)
        ages: list[timedelta] = [
            now - verdict.created_at
            for verdict in facts.verdicts
            if verdict.fingerprint == fingerprint
            and verdict.lease_class == template.lease_class
            and verdict.outcome != "inconclusive"
            and (verdict.outcome == "revert" or PROFILES.index(verdict.profile) >= needed)
            and template.features <= verdict.features
        ]
        return not ages or min(ages) >= parts.settings.audit.schedule

    def _busy(self) -> bool:
        return self._parts.ledger.leases.counts()[LeaseState.ACTIVE] > 0
