"""A server of one's own for one lease, beside a cold `start-dev`; and the same with a spare."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.bench import RECIPE, mark
from benchmarks.report import Line, Result, line_p50, line_ratio
from testbed.cold import cold_keycloak
from testbed.installation import Installation, wait_until
from warminfra.client.client import Client
from warminfra.core.secret import Secret

READY_WITHIN = 8.0
SPARE_WITHIN = 50.0
PATIENCE = 120.0


def run(quick: bool, cache: Path) -> Result:
    """Alternate the two sides, each alone on the machine; then lease from the store."""
    leases, colds, spares = (2, 1, 2) if quick else (12, 4, 12)
    own: list[float] = []
    cold: list[float] = []
    lines: list[Line] = []
    with _installation(spares=0) as client:
        for number in range(leases):
            mark(f"a server of one's own, {number + 1} of {leases}")
            own.append(_lease(client) / 1000)
            if number < colds:
                mark(f"a cold start-dev, {number + 1} of {colds}")
                cold.append(_cold(cache))
        lines += [
            line_p50("lease of a server of one's own", own, "s", limit=READY_WITHIN),
            line_p50("cold `start-dev` until its health answers, and its realm", cold, "s"),
            line_ratio("ratio", own, cold),
        ]
    with _installation(spares=1) as client:
        mark(f"{spares} leases with a spare in store")
        stored = []
        for _ in range(spares):
            wait_until(lambda: client.status()["tenants"]["ready"] == 1, PATIENCE, "a spare")
            stored.append(_lease(client))
        lines.append(line_p50("lease with a spare in store", stored, "ms", limit=SPARE_WITHIN))
    return Result(
        "dedicated",
        lines,
        ["client round trips with --domain, from the request to the lease document"],
    )


@contextmanager
def _installation(spares: int) -> Iterator[Client]:
    config = f'[instances]\nspares = {spares}\npark_after = "1s"\n'
    with Installation.temporary(policy="never", config=config) as installation:
        installation.up()
        installation.enroll()
        with closing(installation.client()) as client:
            yield client


def _lease(client: Client) -> float:
    """Lease and give back; return the milliseconds of the lease."""
    started = time.perf_counter()
    document = client.acquire(RECIPE, domain="run.example.org", wait=PATIENCE)
    spent = (time.perf_counter() - started) * 1000
    client.release(document["id"], Secret(document["handle"]))
    wait_until(lambda: not client.status()["tenants"]["retiring"], PATIENCE, "its end")
    return spent


def _cold(cache: Path) -> float:
    with cold_keycloak(cache) as server:
        *_, seconds = server.realm("run.example.org")
        return server.ready_s + seconds
