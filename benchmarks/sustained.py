"""How many leases a second one instance bears for good, and the pool which that implies.

Every lease costs the server a create and a delete, one at a time. The rate counts the teardown of
all leases that were given out, not only of those that were over when the clients stopped.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from statistics import median

from keycloak.urls_patterns import URL_ADMIN_REALM, URL_ADMIN_REALMS

from benchmarks import bench as shared
from benchmarks.bench import MEASURER, RECIPE, Bench, mark
from benchmarks.report import Line, Result, line_p50
from benchmarks.stats import pool_size
from warminfra.core.secret import Secret
from warminfra.testing.conformance import plan_for
from warminfra_keycloak.connection import SLOW_TIMEOUT
from warminfra_keycloak.keys import make_key
from warminfra_keycloak.realm import FAST_POLICY, realm_body

SHARE = 0.8
CLIENTS = 4
RATES = (10, 20, 60)
"""Runs a minute for which the pool is told."""
BURSTS = (10, 20)
RISK = 0.01


def run(bench: Bench) -> Result:
    """Measure create and delete alone, then load, then create and delete again."""
    window = bench.few(10, 75)
    bench.pool(0)
    before = _alone(bench, bench.few(5, 20))
    mark(f"{CLIENTS} clients lease and release for {window} s")
    leases, seconds, answered = _load(bench, float(window))
    after = _alone(bench, bench.few(5, 20))
    creates, deletes = before[0] + after[0], before[1] + after[1]
    cost = (median(creates) + median(deletes)) / 1000
    rate = leases / seconds
    lines = [
        line_p50("plain create, alone", creates),
        line_p50("plain delete, alone", deletes),
        Line("1 ÷ (create + delete)", 1 / cost, "leases/s"),
        Line("sustained, teardown of all included", rate, "leases/s", n=leases),
        Line("sustained × (create + delete)", rate * cost, "×", limit=SHARE, at_least=True),
        Line("leases/s while the clients ran", answered / window, "leases/s", n=answered),
    ]
    notes = [
        f"{leases} leases by {CLIENTS} clients without a pause, then the backlog of teardowns: "
        f"{seconds:.0f} s in all; pool 5, hard cap 600",
        *_sizes(1 / rate, median(creates) / 1000),
    ]
    return Result("sustained", lines, notes)


def _alone(bench: Bench, count: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of plain creates and deletes by the service's maker."""
    template = bench.template()
    creates: list[float] = []
    deletes: list[float] = []
    with closing(shared.maker(bench.access())) as connection:
        for number in range(-3, count):
            plan = plan_for(template, MEASURER)
            body = realm_body(plan, make_key(), FAST_POLICY)
            path = URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name})
            connection.token()
            started = time.perf_counter()
            connection.send("POST", URL_ADMIN_REALMS, json=body, timeout=SLOW_TIMEOUT)
            made = time.perf_counter()
            connection.send("DELETE", path, timeout=SLOW_TIMEOUT)
            gone = time.perf_counter()
            if number >= 0:
                creates.append((made - started) * 1000)
                deletes.append((gone - made) * 1000)
    return creates, deletes


def _load(bench: Bench, window: float) -> tuple[int, float, int]:
    """Return leases, seconds until the last of their tenants was gone, leases in the window.

    The pool is full at the start and empty at the end, so its tenants were made before the clock
    ran: they are made up for by waiting until it is full again.
    """
    pool = 5
    bench.pool(pool)
    stop = time.monotonic() + window
    counts = [0] * CLIENTS

    def work(number: int) -> None:
        with bench.installation.client() as client:
            while time.monotonic() < stop:
                document = client.acquire(RECIPE, wait=60.0)
                client.release(document["id"], Secret(document["handle"]))
                counts[number] += 1

    started = time.monotonic()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = sum(counts)
    mark("the backlog of teardowns")
    bench.settle(pool)
    seconds = time.monotonic() - started
    bench.pool(0)
    return answered, seconds, answered


def _sizes(cost: float, create: float) -> list[str]:
    """Say which pool serves which rate of runs at `cost` seconds of the server for each lease."""
    told = [f"one lease costs {cost:.2f} s of the instance: {60 / cost:.0f} runs a minute at most"]
    for rate in RATES:
        if rate * cost / 60 < 1:
            size = pool_size(rate / 60, cost, RISK)
            told.append(
                f"{rate} runs a minute at random moments: pool {size} "
                f"(found empty by at most {RISK:.0%}; load {rate * cost / 60:.0%})"
            )
        else:
            told.append(f"{rate} runs a minute: more than one instance bears")
    told += [
        f"{burst} runs at once: pool {burst}, full again after {burst * create:.1f} s"
        for burst in BURSTS
    ]
    return told
