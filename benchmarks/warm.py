"""What it costs to be warm: memory and CPU of service and Keycloak, idle, for each lease, and after
many leases on one instance.
"""

from __future__ import annotations

import time

from benchmarks import probes
from benchmarks.bench import RECIPE, Bench, mark
from benchmarks.report import Line, Result
from benchmarks.stats import slope

POOL = 5
EVERY = 50


def run(quick: bool) -> Result:
    """Measure one fresh installation idle, then through all its cycles, then idle again."""
    cycles, idle = (20, 5.0) if quick else (500, 40.0)
    with Bench.started(quick=quick) as bench:
        mark(f"idle for {idle:g} s, pool of {POOL}")
        bench.pool(POOL)
        lines = _idle(bench, idle, "with a full pool")
        mark(f"{cycles} cycles of lease, release, gone")
        lines += _cycles(bench, cycles, lines[0].value, lines[1].value)
        bench.settle(POOL)
        lines += _idle(bench, idle, f"after {cycles} cycles")
    return Result(
        "warm",
        lines,
        [
            "CPU of a lease: from create to gone, its share of refill, keys and looks included, "
            "less what idling costs in the same time",
        ],
    )


def _idle(bench: Bench, seconds: float, when: str) -> list[Line]:
    """Return CPU of service and Keycloak in per cent of one processor, then their memory."""
    service, (keycloak,) = bench.service_pid(), bench.installation.keycloak_pids()
    time.sleep(2.0)  # let what the last request woke come to rest
    before = probes.cpu_seconds(service), probes.cpu_seconds(keycloak)
    started = time.monotonic()
    time.sleep(seconds)
    span = (time.monotonic() - started) / 100
    after = probes.cpu_seconds(service), probes.cpu_seconds(keycloak)
    lines = [
        Line(f"service, idle CPU {when}", (after[0] - before[0]) / span, "% of one CPU"),
        Line(f"Keycloak, idle CPU {when}", (after[1] - before[1]) / span, "% of one CPU"),
    ]
    for name, pid in (("service", service), ("Keycloak", keycloak)):
        found = probes.memory(pid)
        lines += [
            Line(f"{name}, RSS {when}", found.rss, "MiB"),
            Line(f"{name}, PSS {when}", found.pss, "MiB"),
        ]
    return lines


def _cycles(bench: Bench, cycles: int, idle_service: float, idle_keycloak: float) -> list[Line]:
    service, (keycloak,) = bench.service_pid(), bench.installation.keycloak_pids()
    before = probes.cpu_seconds(service), probes.cpu_seconds(keycloak)
    started = time.monotonic()
    grown: list[tuple[float, float]] = []
    for number in range(cycles):
        if number % EVERY == 0:
            grown.append((number, probes.memory(keycloak).rss))
        bench.release(bench.client.acquire(RECIPE, wait=60.0))
    bench.settle(POOL)
    grown.append((cycles, probes.memory(keycloak).rss))
    seconds = time.monotonic() - started
    after = probes.cpu_seconds(service), probes.cpu_seconds(keycloak)
    for_service = (after[0] - before[0] - idle_service / 100 * seconds) / cycles
    for_keycloak = (after[1] - before[1] - idle_keycloak / 100 * seconds) / cycles
    late = [point for point in grown if point[0] >= cycles / 2]
    return [
        Line("Keycloak, CPU seconds a lease, create to gone", for_keycloak, "s", n=cycles),
        Line("service, CPU seconds a lease, create to gone", for_service, "s", n=cycles),
        Line("wall seconds a lease, create to gone", seconds / cycles, "s", n=cycles),
        Line(
            "Keycloak, RSS growth over the second half",
            slope(late) * 100 if len(late) > 1 else 0.0,
            "MiB/100 leases",
            n=len(late),
        ),
    ]
