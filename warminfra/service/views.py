"""What the API tells of the installation, without secrets: status, recipes, leases, quarantine."""

from __future__ import annotations

import os
from datetime import datetime

from warminfra import __version__
from warminfra.core.errors import WarminfraError
from warminfra.core.models import (
    Instance,
    JsonObject,
    Lease,
    OwnedStack,
    Recipe,
    Tenant,
    Verdict,
)
from warminfra.core.states import InstanceState, StackState, TenantState
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.leasing.sharing import ALARM, UNPROVEN
from warminfra.service.composition import Parts


def _time(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def lease_row(lease: Lease) -> JsonObject:
    return {
        "id": lease.id,
        "recipe": lease.recipe,
        "run": lease.run,
        "slot": lease.slot,
        "state": lease.state,
        "mode": lease.mode,
        "mode_reason": lease.mode_reason,
        "domain": lease.domain,
        "verdict": lease.verdict,
        "created_at": _time(lease.created_at),
        "expires_at": _time(lease.expires_at),
        "held_until": _time(lease.held_until) if lease.held_until else None,
    }


def held_row(lease: Lease) -> JsonObject:
    return lease_row(lease) | {"memory": lease.held_memory}


def stack_row(stack: OwnedStack) -> JsonObject:
    return {
        "name": stack.name,
        "lease": stack.lease,
        "state": stack.state,
        "attempts": stack.attempts,
        "reason": stack.reason,
    }


def lease_state(parts: Parts, lease: Lease, tenant: Tenant) -> JsonObject:
    return {
        "schema": "warminfra.lease-state/v1",
        "id": lease.id,
        "lease": lease.state,
        "tenant": tenant.state,
        "reason": lease.end_reason,
        "held_until": _time(lease.held_until) if lease.held_until else None,
        "attempts": tenant.attempts,
        "stacks": [stack_row(stack) for stack in parts.ledger.stacks.of(lease.id)],
    }


def recipe_row(parts: Parts, recipe: Recipe) -> JsonObject:
    template = parts.manager.template(recipe.template_hash)
    decision = parts.manager.decide(parts.ledger.sharing.facts(), recipe)
    ready = [
        tenant
        for tenant in parts.ledger.tenants.in_states((TenantState.READY,))
        if tenant.template_hash == recipe.template_hash
    ]
    return {
        "name": recipe.name,
        "path": recipe.path,
        "template_hash": recipe.template_hash,
        "features": sorted(template.features),
        "pool": {"min": recipe.pool_min, "max": recipe.pool_max, "ready": len(ready)},
        "mode": decision.mode,
        "mode_reason": decision.reason,
        "enrolled_at": _time(recipe.enrolled_at),
    }


def quarantined(parts: Parts) -> list[Tenant]:
    """Return the tenants whose teardown has failed too often."""
    return [
        tenant
        for tenant in parts.ledger.tenants.in_states((TenantState.RETIRING,))
        if tenant.attempts >= QUARANTINE_AFTER
    ]


def quarantined_stacks(parts: Parts) -> list[OwnedStack]:
    """Return the stacks whose removal has failed too often; their tenants are let go meanwhile."""
    return [
        stack
        for stack in parts.ledger.stacks.in_state(StackState.REMOVING)
        if stack.attempts >= QUARANTINE_AFTER
    ]


def quarantine_row(tenant: Tenant) -> JsonObject:
    return {
        "id": tenant.id,
        "instance": tenant.instance,
        "recipe": tenant.recipe,
        "attempts": tenant.attempts,
        "reason": tenant.reason,
        "created_at": _time(tenant.created_at),
    }


def _instance_row(parts: Parts, row: Instance) -> JsonObject:
    worker = parts.fleet.workers.get(row.id)
    server = worker.server if worker else None
    return {
        "id": row.id,
        "provider": row.provider,
        "kind": row.kind,
        "state": row.state,
        "note": row.note,
        "trouble": _trouble(worker.trouble) if worker and worker.trouble else None,
        "made": row.made,
        "live": parts.ledger.instances.live_tenants(row.id),
        "url": server.running.access.url if server else "",
        "created_at": _time(row.created_at),
    }


def verdict_row(parts: Parts, verdict: Verdict) -> JsonObject:
    """Return a verdict, and whether it is of this very installation."""
    return {
        "id": verdict.id,
        "outcome": verdict.outcome,
        "profile": verdict.profile,
        "lease_class": verdict.lease_class,
        "fingerprint": verdict.fingerprint,
        "current": verdict.fingerprint == parts.fingerprint.digest(),
        "features": sorted(verdict.features),
        "findings": list(verdict.findings),
        "created_at": _time(verdict.created_at),
    }


def _trouble(error: WarminfraError) -> JsonObject:
    return {"code": error.code, "detail": error.message, "hint": error.hint}


def status(parts: Parts, uptime: float) -> JsonObject:
    """Return everything `warminfra status` shows."""
    recipes = parts.ledger.recipes.all()
    facts = parts.ledger.sharing.facts()
    decisions = {recipe.name: parts.manager.decide(facts, recipe) for recipe in recipes}
    sharing, hold, now = parts.settings.sharing, parts.settings.hold, parts.clock.wall()
    return {
        "schema": "warminfra.status/v1",
        "version": __version__,
        "installation": parts.installation.id,
        "pid": os.getpid(),
        "uptime_s": round(uptime, 3),
        "fingerprint": parts.fingerprint.digest(),
        "policy": {
            "policy": sharing.policy,
            "min_profile": sharing.min_profile,
            "require": sharing.require,
        },
        "gate": [
            {"recipe": name, "mode": decision.mode, "reason": decision.reason}
            for name, decision in decisions.items()
        ],
        "accepted": [
            {
                "finding": one.name,
                "why": one.why,
                "until": str(one.until),
                "stands": one.stands(now),
            }
            for one in parts.settings.audit.accept
        ],
        "warnings": _warnings(parts),
        "reach": _reach(parts),
        "instances": [_instance_row(parts, row) for row in parts.ledger.instances.current()],
        "tenants": {str(state): n for state, n in parts.ledger.tenants.counts().items()},
        "leases": {str(state): n for state, n in parts.ledger.leases.counts().items()},
        "stacks": {str(state): n for state, n in parts.ledger.stacks.counts().items()},
        "removing": [
            stack_row(stack) for stack in parts.ledger.stacks.in_state(StackState.REMOVING)
        ],
        "waiting": parts.manager.demand.waiting(),
        "quarantine": len(quarantined(parts)) + len(quarantined_stacks(parts)),
        "hold": {"max": hold.max, "memory": hold.memory},
        "held": [held_row(lease) for lease in parts.manager.holds.held()],
        "recipes": len(recipes),
    }


def _reach(parts: Parts) -> JsonObject:
    """Return how servers are reached; only the mode while the rest is not known."""
    mode = parts.settings.reach.mode
    try:
        reach = parts.reach()
    except WarminfraError as error:
        return {"mode": mode, "trouble": _trouble(error)}
    trust = reach.trust
    return {
        "mode": mode,
        "address": reach.address,
        "hosts": dict(reach.hosts),
        "ca_file": str(trust.ca_file) if trust else None,
        "bundle_file": str(trust.bundle_file) if trust else None,
    }


def ready(parts: Parts) -> bool:
    """Say whether a lease is possible: an instance is up and reconciled, or one is parked because
    whoever asks gets a server of one's own."""
    possible = (InstanceState.READY, InstanceState.PARKED)
    return any(row.state in possible for row in parts.ledger.instances.current())


def _warnings(parts: Parts) -> list[str]:
    words = parts.ledger.sharing.facts().words
    warnings = [
        f"{word.by} saw: {word.why}"
        for word in words
        if word.kind == ALARM and word.lifted_at is None
    ]
    if parts.fingerprint.changed:
        changed = ", ".join(parts.fingerprint.changed)
        warnings.append(f"installed otherwise than it runs ({changed}): restart the service")
    if parts.settings.sharing.policy == "unproven":
        warnings.append(UNPROVEN)
    if not parts.settings.service.group:
        warnings.append(
            "runs and the reviewer share one user: the gate proves nothing between them "
            "(set service.group and run tests as another user)"
        )
    if parts.settings.reach.mode == "host" and not parts.settings.keycloak.url:
        warnings.append("reach host: plain HTTP on loopback, for processes of this host only")
    return warnings
