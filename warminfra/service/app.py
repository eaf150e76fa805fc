"""The HTTP API, the same on both sockets; admin verbs answer on the admin socket alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated

import structlog
from anyio import from_thread
from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from warminfra import __version__
from warminfra.core.errors import Internal, NotAllowed, Unreachable, Usage, WarminfraError
from warminfra.core.ids import TenantId, VerdictId
from warminfra.core.models import Granted, JsonObject, LeaseRequest, Waiting
from warminfra.service import admin, views
from warminfra.service.binding import bound_process
from warminfra.service.bodies import LimitedBodies, TooLarge
from warminfra.service.composition import Parts
from warminfra.service.document import lease_document, stack_secrets
from warminfra.service.loops import Loops
from warminfra.service.metrics import Metrics
from warminfra.service.peers import ADMIN, peer_of
from warminfra.service.schemas import (
    DomainBody,
    HoldBody,
    LeaseBody,
    RenewBody,
    RunBody,
    StackBody,
    WithdrawBody,
)

log = structlog.get_logger()

Handle = Annotated[str, Header(alias="Warminfra-Handle")]
Prefer = Annotated[str, Header()]
PROBLEM = "application/problem+json"
_WAIT = re.compile(r"(?:^|[,\s])wait=(\d{1,4})(?:$|[,;\s])")
"""The preference of RFC 7240: whole seconds in which the client would like an answer."""


def build_app(parts: Parts, loops: Loops, shut_down: Callable[[bool, bool], None]) -> FastAPI:
    """Return the application. `shut_down(instances, purge)` is asked to end the service."""
    app = FastAPI(
        title="warminfra", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(LimitedBodies)
    metrics = Metrics(parts)
    started = time.monotonic()
    manager = parts.manager

    def handed(granted: Granted) -> JsonObject:
        return lease_document(granted, parts.package.name, parts.reach())

    @app.post("/v1/leases", status_code=201, summary="Take a lease")
    def acquire(
        body: LeaseBody, request: Request, response: Response, prefer: Prefer = ""
    ) -> JsonObject:
        bound_to = None
        if body.bind or body.bind_pid:
            bound_to = bound_process(peer_of(request.scope), body.bind_pid)
        wish = LeaseRequest(
            recipe=body.recipe,
            key=body.key,
            run=body.run,
            slot=body.slot,
            ttl=body.ttl_s,
            domain=body.domain,
            bound_to=bound_to,
            run_key=body.run_key,
            stack=body.stack,
            secret_versions=body.secret_versions,
        )
        begun = time.perf_counter()
        outcome = manager.acquire(wish)
        if isinstance(outcome, Waiting) and (patience := _WAIT.search(prefer)):
            outcome = manager.await_turn(wish, outcome, float(patience[1]))
            if not outcome.retry_after and not from_thread.run(request.is_disconnected):
                begun = time.perf_counter()
                outcome = manager.acquire(wish)
        if isinstance(outcome, Waiting):
            response.status_code = 202
            return {
                "schema": "warminfra.ticket/v1",
                "reason": outcome.reason,
                "place": outcome.place,
                "retry_after_s": outcome.retry_after,
            }
        document = handed(outcome)
        if body.stack:
            secrets = stack_secrets(outcome, document, body.stack, body.secret_versions)
            manager.hand_over(outcome, body.stack, secrets)
            document["stack"] = {"name": body.stack, "secrets": sorted(secrets)}
        metrics.granted.observe(time.perf_counter() - begun)
        return document

    @app.post("/v1/leases/withdraw", status_code=204, summary="Take a request back")
    def withdraw(body: WithdrawBody) -> None:
        manager.withdraw(body.key, body.run, body.slot)

    @app.get("/v1/leases", summary="List the active leases, or all under a verdict; no secrets")
    def leases(verdict: str = "") -> JsonObject:
        found = (
            parts.ledger.leases.under(VerdictId(verdict))
            if verdict
            else parts.ledger.leases.active()
        )
        rows = [views.lease_row(lease) for lease in found]
        return {"schema": "warminfra.leases/v1", "leases": rows}

    @app.get("/v1/leases/{lease}", summary="Show a lease to its holder")
    def show(lease: str, handle: Handle) -> JsonObject:
        return handed(manager.show(TenantId(lease), handle))

    @app.get("/v1/leases/{lease}/state", summary="How far a lease and its teardown are")
    def state(lease: str, handle: Handle) -> JsonObject:
        return views.lease_state(parts, *manager.whereabouts(TenantId(lease), handle))

    @app.post("/v1/leases/{lease}/renew", summary="Move the deadline")
    def renew(lease: str, body: RenewBody, handle: Handle) -> JsonObject:
        renewed = manager.renew(TenantId(lease), handle, body.ttl_s)
        return {
            "schema": "warminfra.renewal/v1",
            "id": renewed.id,
            "expires_at": renewed.expires_at.isoformat().replace("+00:00", "Z"),
            "ttl_s": renewed.ttl,
        }

    @app.put("/v1/leases/{lease}/stack", summary="Let a stack end with the lease")
    def attach(lease: str, body: StackBody, handle: Handle) -> JsonObject:
        owned = manager.attach(TenantId(lease), handle, body.name)
        return {
            "schema": "warminfra.stacks/v1",
            "id": lease,
            "stacks": [views.stack_row(stack) for stack in owned],
        }

    @app.post("/v1/leases/{lease}/hold", summary="Keep a lease for a look, within the budget")
    def hold(lease: str, body: HoldBody, handle: Handle) -> JsonObject:
        held = manager.hold(TenantId(lease), handle, body.for_s)
        return views.held_row(held) | {"schema": "warminfra.hold/v1"}

    @app.post("/v1/runs/release", status_code=202, summary="Give back all leases of a run")
    def release_run(body: RunBody) -> JsonObject:
        ended = manager.runs.release(body.run, body.key, held=body.held)
        states = [
            views.lease_state(parts, lease, tenant)
            for lease in ended
            if (tenant := parts.ledger.tenants.get(lease.id)) is not None
        ]
        return {"schema": "warminfra.run-release/v1", "run": body.run, "leases": states}

    @app.delete("/v1/leases/{lease}", status_code=202, summary="Give a lease back")
    def release(lease: str, handle: Handle, unless_held: bool = False) -> JsonObject:
        manager.release(TenantId(lease), handle, unless_held=unless_held)
        return views.lease_state(parts, *manager.whereabouts(TenantId(lease), handle))

    @app.put("/v1/leases/{lease}/domain", summary="Apply the run's domain")
    def set_domain(lease: str, body: DomainBody, handle: Handle) -> JsonObject:
        granted = manager.set_domain(TenantId(lease), handle, body.domain)
        return handed(granted)

    @app.get("/v1/recipes", summary="List the enrolled recipes")
    def recipes() -> JsonObject:
        rows = [views.recipe_row(parts, recipe) for recipe in parts.ledger.recipes.all()]
        return {"schema": "warminfra.recipes/v1", "recipes": rows}

    @app.get("/v1/verdicts", summary="List how audits ended")
    def verdicts() -> JsonObject:
        rows = [
            views.verdict_row(parts, verdict) for verdict in parts.ledger.sharing.facts().verdicts
        ]
        return {"schema": "warminfra.verdicts/v1", "verdicts": rows}

    @app.get("/v1/fingerprint", summary="What a verdict depends on, part by part")
    def fingerprint() -> JsonObject:
        return {
            "schema": "warminfra.fingerprint/v1",
            "fingerprint": parts.fingerprint.digest(),
            "parts": dict(parts.fingerprint.parts()),
            "changed": list(parts.fingerprint.changed),
        }

    @app.get("/v1/status", summary="What runs, and why leases are served as they are")
    def status() -> JsonObject:
        return views.status(parts, time.monotonic() - started)

    @app.get("/livez", summary="The service answers")
    def livez() -> JsonObject:
        return {"live": True}

    @app.get("/readyz", summary="A lease is possible")
    def readyz() -> JsonObject:
        if not views.ready(parts):
            raise Unreachable(parts.fleet.trouble(), hint="wait, or see `warminfra status`")
        return {"ready": True}

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    def scrape() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.include_router(
        admin.build_router(parts, loops, shut_down), dependencies=[Depends(_require_admin)]
    )
    _map_errors(app)
    return app


def _require_admin(request: Request) -> None:
    peer = peer_of(request.scope)
    if peer.socket != ADMIN:
        raise NotAllowed(
            f"{request.method} {request.url.path} is an admin's verb",
            hint="call it as the service's own user, over the admin socket",
        )


def _map_errors(app: FastAPI) -> None:
    """Turn errors into problem+json (RFC 9457), in this one place."""

    @app.exception_handler(WarminfraError)
    def ours(_: Request, error: WarminfraError) -> JSONResponse:
        return _problem(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            ".".join(str(part) for part in fault["loc"][1:]) + ": " + fault["msg"]
            for fault in error.errors()
        ]
        return _problem(Usage("; ".join(faults), hint="see docs/openapi.json"))

    @app.exception_handler(TooLarge)
    def too_large(_: Request, error: TooLarge) -> JSONResponse:
        return _problem(Usage(error.detail))

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return _problem(Internal(f"{type(error).__name__} in {request.method} {request.url.path}"))


def _problem(error: WarminfraError) -> JSONResponse:
    headers = {"Retry-After": "1"} if error.http_status == 503 else {}
    return JSONResponse(
        {
            "type": "about:blank",
            "title": error.code.replace("_", " "),
            "status": error.http_status,
            "code": error.code,
            "detail": error.message,
            "hint": error.hint,
        },
        status_code=error.http_status,
        headers=headers,
        media_type=PROBLEM,
    )
