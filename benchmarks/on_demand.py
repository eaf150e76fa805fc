"""A lease with the pool empty, beside the plain POST of the same body by the same identity."""

from __future__ import annotations

import time
from contextlib import closing

from keycloak.urls_patterns import URL_ADMIN_REALM, URL_ADMIN_REALMS

from benchmarks.bench import MEASURER, RECIPE, Bench, maker, mark
from benchmarks.report import Result, line_p50, line_ratio
from warminfra.core.template import Template
from warminfra.testing.conformance import plan_for
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection
from warminfra_keycloak.keys import make_key
from warminfra_keycloak.realm import FAST_POLICY, realm_body

LIMIT = 1.3


def run(bench: Bench) -> Result:
    """Both in turn, each with nothing under way at the server."""
    count = bench.few(5, 40)
    mark(f"{count} leases with an empty pool, {count} plain creates")
    bench.pool(0)
    template = bench.template()
    leased: list[float] = []
    plain: list[float] = []
    with closing(maker(bench.access())) as connection:
        for number in range(-bench.few(5, 15), count):
            for side in ("lease", "plain") if number % 2 else ("plain", "lease"):
                spent = _lease(bench) if side == "lease" else plain_create(connection, template)
                if number >= 0:
                    (leased if side == "lease" else plain).append(spent)
    return Result(
        "on-demand",
        [
            line_p50("lease with the pool empty, client round trip", leased),
            line_p50("plain `POST /admin/realms` of the same body", plain),
            line_ratio("ratio", leased, plain, limit=LIMIT),
        ],
        ["both with a signing key that was made beforehand, and on an idle server"],
    )


def _lease(bench: Bench) -> float:
    started = time.perf_counter()
    document = bench.client.acquire(RECIPE, wait=60.0)
    spent = (time.perf_counter() - started) * 1000
    bench.release(document)
    bench.settle(0)
    return spent


def plain_create(connection: AdminConnection, template: Template) -> float:
    """Make a tenant's realm by one POST; return its milliseconds. The realm is removed again."""
    plan = plan_for(template, MEASURER)
    body = realm_body(plan, make_key(), FAST_POLICY)
    connection.token()
    started = time.perf_counter()
    connection.send("POST", URL_ADMIN_REALMS, json=body, timeout=SLOW_TIMEOUT)
    spent = (time.perf_counter() - started) * 1000
    path = URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name})
    connection.send("DELETE", path, timeout=SLOW_TIMEOUT)
    return spent
