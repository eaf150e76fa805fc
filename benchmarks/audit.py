"""An audit while leases live on the warm instance: does it disturb them?

One lease is held all the time, with a login of its own whose token is refreshed again and again;
others come, log in and go. First without an audit, then beside one, in the same installation. What
counts is that nothing fails; how much slower the same work gets is told with its spread, for audit
and runs share two processors.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field

import httpx

from benchmarks.bench import RECIPE, Bench, Document, mark
from benchmarks.report import Line, Result, line_p50, line_ratio
from warminfra.core.secret import Secret
from warminfra_keycloak.audit.holder import login, tokens

PAUSE = 0.2


@dataclass(slots=True)
class Course:
    """What runs do: milliseconds of each kind of work, and what failed."""

    lease: list[float] = field(default_factory=list)
    login: list[float] = field(default_factory=list)
    refresh: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def run(quick: bool) -> Result:
    """Measure without, then beside an audit of profile smoke."""
    with Bench.started(quick=quick) as bench, httpx.Client(timeout=30.0, trust_env=False) as http:
        bench.pool(3)
        held = bench.client.acquire(RECIPE, domain="held.example.test")
        grant = tokens(http, held, login(http, held).code)
        count = bench.few(10, 60)
        mark(f"{count} rounds without an audit")
        alone = Course()
        for number in range(count):
            grant = _round(bench, http, held, grant, alone, number)
        mark("the same beside an audit")
        beside = Course()
        process = bench.installation.start(
            ["audit", "--profile", "smoke", "--recipe", RECIPE],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        number = 0
        while process.poll() is None:
            grant = _round(bench, http, held, grant, beside, number)
            number += 1
        bench.release(held)
    return Result("audit", _lines(alone, beside), [f"the audit ended with {process.returncode}"])


def _round(
    bench: Bench, http: httpx.Client, held: Document, grant: Document, course: Course, number: int
) -> Document:
    """Refresh the held lease's token; take another lease, log in, and give it back."""
    began = time.perf_counter()
    answer = http.post(
        held["endpoints"]["token"],
        data={
            "grant_type": "refresh_token",
            "refresh_token": grant["refresh_token"],
            "client_id": held["client"]["id"],
            "client_secret": held["client"]["secret"],
        },
    )
    course.refresh.append((time.perf_counter() - began) * 1000)
    if answer.status_code == httpx.codes.OK:
        grant = answer.json()
    else:
        course.failed.append(f"refresh: {answer.status_code}")
    try:
        bench.client.renew(held["id"], Secret(held["handle"]))
        began = time.perf_counter()
        other = bench.client.acquire(RECIPE, domain=f"run-{number}.example.test", wait=60.0)
        course.lease.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        tokens(http, other, login(http, other).code)
        course.login.append((time.perf_counter() - began) * 1000)
        bench.release(other)
    except Exception as error:  # noqa: BLE001 - each failure of a run is what is counted
        course.failed.append(f"{type(error).__name__}: {error}")
    time.sleep(PAUSE)
    return grant


def _lines(alone: Course, beside: Course) -> list[Line]:
    lines = [
        Line("failed without an audit", len(alone.failed), "of runs' calls", n=len(alone.refresh)),
        Line("failed beside one", len(beside.failed), "of runs' calls", n=len(beside.refresh),
             limit=0.0),
    ]  # fmt: skip
    for what in ("lease", "login", "refresh"):
        without, within = getattr(alone, what), getattr(beside, what)
        lines += [
            line_p50(f"{what} without an audit, p50", without),
            line_p50(f"{what} beside one, p50", within),
            line_ratio(f"{what}, beside ÷ without", within, without),
        ]
    return lines
