"""Rows of the tables as the frozen values of the core."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from warminfra.core.ids import InstanceId, TemplateHash, TenantId, VerdictId
from warminfra.core.models import (
    Instance,
    Lease,
    OwnedStack,
    ProcessRef,
    Recipe,
    Tenant,
    TenantFacts,
    Verdict,
    Word,
    material_from_json,
)
from warminfra.core.states import (
    InstanceKind,
    InstanceState,
    LeaseState,
    StackState,
    TenantState,
)


def instance(row: RowMapping) -> Instance:
    return Instance(
        id=InstanceId(row["id"]),
        provider=row["provider"],
        kind=InstanceKind(row["kind"]),
        state=InstanceState(row["state"]),
        incarnation=row["incarnation"],
        made=row["made"],
        note=row["note"],
        created_at=row["created_at"],
    )


def recipe(row: RowMapping) -> Recipe:
    return Recipe(
        name=row["name"],
        path=row["path"],
        template_hash=TemplateHash(row["template_hash"]),
        env=json.loads(row["env"]),
        secrets=json.loads(row["secrets"]),
        pool_min=row["pool_min"],
        pool_max=row["pool_max"],
        enrolled_at=row["enrolled_at"],
    )


def facts_to_json(facts: TenantFacts) -> str:
    return json.dumps(asdict(facts))


def tenant(row: RowMapping) -> Tenant:
    return Tenant(
        id=TenantId(row["id"]),
        instance=InstanceId(row["instance"]),
        recipe=row["recipe"],
        template_hash=TemplateHash(row["template_hash"]),
        state=TenantState(row["state"]),
        incarnation=row["incarnation"],
        material=material_from_json(row["material"]) if row["material"] else None,
        facts=TenantFacts(**json.loads(row["facts"])) if row["facts"] else None,
        reserved_for=row["reserved_for"],
        uncertain_until=row["uncertain_until"],
        attempts=row["attempts"],
        next_attempt=row["next_attempt"],
        reason=row["reason"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        made_ms=row["made_ms"],
    )


def lease(row: RowMapping) -> Lease:
    bound = row["bound_pid"]
    return Lease(
        id=TenantId(row["id"]),
        recipe=row["recipe"],
        run=row["run"],
        slot=row["slot"],
        state=LeaseState(row["state"]),
        mode=row["mode"],
        mode_reason=row["mode_reason"],
        verdict=VerdictId(row["verdict"]) if row["verdict"] else None,
        key_hash=row["key_hash"],
        domain=row["domain"],
        ttl=row["ttl"],
        deadline=row["deadline"],
        expires_at=row["expires_at"],
        boot_id=row["boot_id"],
        bound_to=None if bound is None else ProcessRef(bound, row["bound_start"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        end_reason=row["end_reason"],
        run_key=row["run_key"],
        held_until=row["held_until"],
        held_memory=row["held_memory"],
    )


def lease_values(value: Lease) -> dict[str, Any]:
    """Return the columns of a new lease row."""
    values = {name: getattr(value, name) for name in value.__slots__ if name != "bound_to"}
    values["bound_pid"] = value.bound_to.pid if value.bound_to else None
    values["bound_start"] = value.bound_to.start if value.bound_to else None
    return values


def stack(row: RowMapping) -> OwnedStack:
    return OwnedStack(
        lease=TenantId(row["lease"]),
        name=row["name"],
        state=StackState(row["state"]),
        since=row["since"],
        attempts=row["attempts"],
        next_attempt=row["next_attempt"],
        reason=row["reason"],
    )


def verdict(row: RowMapping) -> Verdict:
    return Verdict(
        id=VerdictId(row["id"]),
        outcome=row["outcome"],
        profile=row["profile"],
        lease_class=row["lease_class"],
        fingerprint=row["fingerprint"],
        features=frozenset(json.loads(row["features"])),
        findings=tuple(json.loads(row["findings"])),
        created_at=row["created_at"],
    )


def word(row: RowMapping) -> Word:
    return Word(**dict(row))
