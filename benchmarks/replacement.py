"""An instance is replaced after so many tenants: are there leases throughout, and is the memory of
two servers given back?
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from benchmarks.bench import RECIPE, Bench, mark
from benchmarks.probes import memory
from benchmarks.report import Line, Result, line_p50

POOL = 5
WAIT = 30.0
"""Longest wait for a lease before the measurement counts it as not to be had."""


@dataclass(slots=True)
class Watch:
    """Memory of all servers, (seconds, servers, MiB), sampled in a thread of its own."""

    bench: Bench
    seen: list[tuple[float, int, float]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Sample until `ended`."""
        while not self.ended.wait(0.25):
            pids = self.bench.installation.keycloak_pids()
            try:
                self.seen.append((time.monotonic(), len(pids), memory(*pids).rss))
            except (FileNotFoundError, ProcessLookupError):
                continue  # one ended while we looked

    def now(self) -> float:
        """Return the last sample's memory."""
        return self.seen[-1][2]


def run(quick: bool) -> Result:
    """Lease and release without a pause until the first instance was replaced and is gone."""
    after = 15 if quick else 120
    config = f"[instances]\nsoft_cap = 100\nhard_cap = 200\nreplace_after = {after}\n"
    with Bench.started(quick=quick, config=config) as bench:
        bench.pool(POOL)
        (first,) = bench.installation.keycloak_pids()
        watch = Watch(bench)
        thread = threading.Thread(target=watch.watch)
        thread.start()
        try:
            mark(f"leases until the instance is replaced after {after} tenants")
            spent = _lease_through(bench, first)
            bench.settle(POOL)
            time.sleep(1.0)
        finally:
            watch.ended.set()
            thread.join()
    alone = [rss for _, servers, rss in watch.seen if servers == 1]
    both = [(moment, rss) for moment, servers, rss in watch.seen if servers == 2]
    during = [ms for moment, ms in spent if both and both[0][0] <= moment <= both[-1][0]]
    before = next(
        rss
        for index, (_, n, rss) in enumerate(watch.seen)
        if index + 1 < len(watch.seen) and watch.seen[index + 1][1] == 2 and n == 1
    )
    return Result(
        "replacement",
        [
            line_p50("lease (waits included), whole run", [ms for _, ms in spent]),
            line_p50("lease (waits included), while there were two", during or [0.0]),
            Line("longest wait for a lease", max(ms for _, ms in spent), n=len(spent)),
            Line("time with two servers", both[-1][0] - both[0][0] if both else 0.0, "s"),
            Line("memory at the start", alone[0], "MiB"),
            Line("memory before the replacement", before, "MiB"),
            Line("most memory, two servers", max(rss for _, rss in both), "MiB"),
            Line("memory afterwards", watch.now(), "MiB"),
            Line("afterwards ÷ before", watch.now() / before, "×", limit=1.1),
        ],
        [
            f"replace_after = {after}, pool {POOL}; one client leases and releases, with 200 ms "
            "between two, from before to after; no lease was refused; RSS of all servers",
        ],
    )


def _lease_through(bench: Bench, first: int) -> list[tuple[float, float]]:
    """Return moment and milliseconds of each lease until server `first` is gone."""
    spent: list[tuple[float, float]] = []
    patience = time.monotonic() + 400.0
    gone = 0
    while gone < 10:
        started = time.monotonic()
        document = bench.client.acquire(RECIPE, wait=WAIT)
        spent.append((started, (time.monotonic() - started) * 1000))
        bench.release(document)
        gone += first not in bench.installation.keycloak_pids()
        if started > patience:
            raise TimeoutError("the instance was not replaced within 400 s")
        time.sleep(0.2)
    return spent
