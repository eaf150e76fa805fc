"""The verbs of the admin and of the reviewer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import cast

from fastapi import APIRouter

from warminfra.config.settings import section_mapping
from warminfra.core.errors import Conflict, NotFound, Usage
from warminfra.core.ids import TenantId, VerdictId
from warminfra.core.models import JsonObject, Recipe, Verdict
from warminfra.core.ports import FitsTemplates
from warminfra.recipes.reader import read_recipe
from warminfra.service import views
from warminfra.service.composition import Parts
from warminfra.service.loops import Loops
from warminfra.service.schemas import (
    EnrollBody,
    RetryBody,
    ShutdownBody,
    VerdictBody,
    WordBody,
)

ShutDown = Callable[[bool, bool], None]


def build_router(parts: Parts, loops: Loops, shut_down: ShutDown) -> APIRouter:
    """Return the admin routes; the caller guards them."""
    router = APIRouter()
    ledger = parts.ledger

    @router.put("/v1/recipes/{name}", summary="Enrol a recipe, or read it again")
    def enroll(name: str, body: EnrollBody) -> JsonObject:
        before = ledger.recipes.get(name)
        recipe, dropped = enrolled(parts, name, body)
        parts.manager.bell.ring()
        changed = before is None or before.template_hash != recipe.template_hash
        return {
            "schema": "warminfra.recipe/v1",
            **views.recipe_row(parts, recipe),
            "dropped": dropped,
            "changed": changed,
        }

    @router.delete("/v1/recipes/{name}", summary="Forget a recipe and its pool")
    def unenroll(name: str) -> JsonObject:
        if not ledger.recipes.unenroll(name):
            raise NotFound(f"no recipe {name!r} is enrolled", hint="`warminfra recipes` lists them")
        retired = parts.pool.retire_unwanted()
        parts.manager.bell.ring()
        return {"name": name, "retired": retired}

    @router.post("/v1/leases/{lease}/revoke", status_code=202, summary="End anybody's lease")
    def revoke(lease: str, body: WordBody) -> JsonObject:
        if not body.why:
            raise Usage("to revoke a lease takes a reason", hint="--why TEXT")
        ended = parts.manager.revoke(TenantId(lease), f"revoked by {body.by}: {body.why}")
        return views.lease_state(parts, *ended)

    @router.get("/v1/quarantine", summary="What could not be taken down")
    def quarantine() -> JsonObject:
        return {
            "schema": "warminfra.quarantine/v1",
            "tenants": [views.quarantine_row(tenant) for tenant in views.quarantined(parts)],
            "stacks": [views.stack_row(stack) for stack in views.quarantined_stacks(parts)],
        }

    @router.post("/v1/quarantine/retry", summary="Try teardowns again now")
    def retry(body: RetryBody) -> JsonObject:
        retried = ledger.tenants.hurry(TenantId(body.id) if body.id else None)
        if not body.id:
            retried += ledger.stacks.hurry()
        parts.manager.bell.ring()
        return {"retried": retried}

    @router.post("/v1/quarantine/{tenant}/force", summary="Declare a quarantined tenant gone")
    def force(tenant: str) -> JsonObject:
        row = ledger.tenants.get(TenantId(tenant))
        if row is None:
            raise NotFound(f"no tenant {tenant}", hint="`warminfra quarantine ls` lists them")
        if row.id not in {found.id for found in views.quarantined(parts)}:
            raise Conflict(
                f"tenant {tenant} is {row.state} after {row.attempts} attempts, not in quarantine",
                hint="only what six attempts could not take down may be declared gone by hand",
            )
        if not ledger.tenants.gone(row.id, parts.clock.wall()):
            raise Conflict(f"tenant {tenant} is no longer in quarantine", hint="look again")
        return {"id": tenant, "state": "gone"}

    @router.post("/v1/verdicts", status_code=201, summary="Record how an audit ended")
    def record(body: VerdictBody) -> JsonObject:
        if ledger.sharing.verdict(VerdictId(body.id)) is not None:
            raise Conflict(f"verdict {body.id} is recorded already")
        verdict = recorded(parts, body)
        parts.manager.bell.ring()
        return views.verdict_row(parts, verdict)

    @router.post("/v1/verdicts/{verdict}/approve", summary="A reviewer approves a verdict")
    def approve(verdict: str, body: WordBody) -> JsonObject:
        found = ledger.sharing.verdict(VerdictId(verdict))
        if found is None:
            raise NotFound(f"no verdict {verdict}", hint="`warminfra audit show` lists them")
        if found.outcome != "approve":
            raise Usage(f"verdict {verdict} is {found.outcome}: it cannot be approved")
        ledger.sharing.say("approve", verdict, body.by, body.why, parts.clock.wall())
        parts.manager.bell.ring()
        return {"verdict": verdict, "by": body.by}

    @router.post("/v1/revert", summary="A reviewer ends sharing until it is lifted")
    def revert(body: WordBody) -> JsonObject:
        if not body.why:
            raise Usage("a revert needs a reason", hint="--why TEXT")
        ledger.sharing.say("revert", "", body.by, body.why, parts.clock.wall())
        parts.manager.bell.ring()
        return {"reverted": True, "by": body.by}

    @router.post("/v1/lift", summary="Lift the standing reverts")
    def lift() -> JsonObject:
        lifted = ledger.sharing.lift(parts.clock.wall())
        parts.manager.bell.ring()
        return {"lifted": lifted}

    @router.post("/v1/shutdown", status_code=202, summary="End the service")
    def shutdown(body: ShutdownBody) -> JsonObject:
        left = loops.purge() if body.purge else 0
        if left:
            raise Conflict(
                f"{left} tenants could not be removed, so nothing was discarded",
                hint="`warminfra quarantine ls` says why",
            )
        shut_down(body.instances or body.purge, body.purge)
        return {"stopping": True}

    return router


def recorded(parts: Parts, body: VerdictBody, ended: datetime | None = None) -> Verdict:
    """Write down how an audit ended; it counts from then, by default from now."""
    verdict = Verdict(
        id=VerdictId(body.id),
        outcome=body.outcome,
        profile=body.profile,
        lease_class=body.lease_class,
        fingerprint=body.fingerprint,
        features=frozenset(body.features),
        findings=tuple(body.findings),
        created_at=ended or parts.clock.wall(),
    )
    parts.ledger.sharing.record(verdict)
    return verdict


def enrolled(parts: Parts, name: str, body: EnrollBody) -> tuple[Recipe, list[str]]:
    """Read the recipe, normalise its template, write both down; return it and what was dropped."""
    settings = read_recipe(Path(body.path), name, providers=(parts.package.name,))
    template, dropped = parts.package.template(
        name,
        settings.client,
        settings.users,
        admin=settings.admin,
        realm=settings.realm,
        settings=section_mapping(parts.settings.keycloak),
    )
    # A server that is not up yet cannot be asked; then what it lacks shows at the first tenant.
    provider = parts.fleet.any_provider()
    # By name: `isinstance` sees nothing of what the prover puts before a provider.
    if hasattr(provider, "fitted"):
        template, unfit = cast(FitsTemplates, provider).fitted(template)
        dropped = [*dropped, *unfit]
    pool = parts.settings.pool
    sizes = [
        (body.pool_min, settings.pool_min, pool.min),
        (body.pool_max, settings.pool_max, pool.max),
    ]
    low, high = (next(size for size in given if size is not None) for given in sizes)
    if high < low:
        raise Usage(f"pool of at least {low} and at most {high}", hint="give max ≥ min")
    recipe = Recipe(
        name=name,
        path=body.path,
        template_hash=template.hash,
        env=settings.env,
        secrets=settings.secrets,
        pool_min=low,
        pool_max=high,
        enrolled_at=parts.clock.wall(),
    )
    parts.ledger.recipes.enroll(recipe, template)
    return recipe, list(dropped)
