"""A lease from the pool: in the service, and as its client sees it.

Two ways: one at a time with the pool full and the server idle (a CI node between runs); and back to
back, in batches from a full pool, while the worker behind refills and takes down as it does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.bench import RECIPE, Bench, Document, mark
from benchmarks.report import Line, Result, line_p50, line_p99

DOMAIN_P50 = 25.0
POOLED_P50 = 5.0
POOLED_P99 = 25.0
DOMAIN = "run-{n}.example.test"


@dataclass(slots=True)
class Arm:
    """Milliseconds of one kind of lease."""

    name: str
    domain: bool
    service: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)

    def take(self, bench: Bench, number: int) -> Document:
        """Take one lease and note what it took."""
        domain = DOMAIN.format(n=number) if self.domain else ""
        started = time.perf_counter()
        document = bench.client.acquire(RECIPE, domain=domain)
        self.client.append((time.perf_counter() - started) * 1000)
        self.service.append(document["timing"]["total_ms"])
        return document

    def lines(self) -> list[Line]:
        """Return p50 and p99 of both sides, with the targets for the service's."""
        inside, outside = f"{self.name}, in the service", f"{self.name}, client round trip"
        if self.domain:
            judged = [
                line_p50(f"{inside}, p50", self.service, limit=DOMAIN_P50),
                line_p99(f"{inside}, p99", self.service),
            ]
        else:
            judged = [
                line_p50(f"{inside}, p50", self.service, limit=POOLED_P50),
                line_p99(f"{inside}, p99", self.service, limit=POOLED_P99),
            ]
        return [
            *judged,
            line_p50(f"{outside}, p50", self.client),
            line_p99(f"{outside}, p99", self.client),
        ]


def run(bench: Bench) -> Result:
    """Measure both kinds of lease, both ways, interleaved."""
    result = Result("lease")
    for arms in (_one_at_a_time(bench), _back_to_back(bench)):
        for arm in arms:
            result.lines += arm.lines()
    result.notes += [
        "one at a time: pool full, nothing under way at the server, both kinds in turn",
        "back to back: in batches of both kinds in turn, without a pause, each batch from a full "
        "pool; the worker refills behind the first lease on, so the server creates realms "
        "meanwhile; released after the batch",
    ]
    return result


def _arms(how: str) -> tuple[Arm, Arm]:
    return Arm(f"with --domain, {how}", True), Arm(f"without, {how}", False)


def _one_at_a_time(bench: Bench) -> tuple[Arm, Arm]:
    count, pool = bench.few(4, 40), 5
    arms = _arms("one at a time")
    mark(f"{2 * count} leases one at a time")
    bench.pool(pool)
    _warm_up(bench, pool)
    for number in range(count):
        for arm in arms:
            bench.release(arm.take(bench, number))
            bench.settle(pool)
    return arms


def _back_to_back(bench: Bench) -> tuple[Arm, Arm]:
    pool, batches = bench.few(10, 60), bench.few(1, 4)
    batch = bench.few(8, 50)
    arms = _arms("back to back")
    mark(f"{batches} batches of {batch} leases from a pool of {pool}")
    bench.pool(pool)
    _warm_up(bench, pool)
    for _ in range(batches):
        taken = [arms[number % 2].take(bench, number) for number in range(batch)]
        bench.release(*taken)
        bench.settle(pool)
    return arms


def _warm_up(bench: Bench, pool: int) -> None:
    for number in range(3):
        bench.release(Arm("", True).take(bench, number))
    bench.settle(pool)
