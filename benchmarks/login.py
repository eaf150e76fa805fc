"""From the start of `warminfra exec` to the first login through a relying party; beside it the same
app and login on a Keycloak of the run's own, started cold.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench import RECIPE, ROOT, Bench, mark
from benchmarks.report import Result, line_p50, line_ratio
from testbed.cold import cold_keycloak
from testbed.relying_party import free_port

LIMIT = 1.5
POOL = 5
CHILD = [sys.executable, "-m", "benchmarks.first_login"]


def run(bench: Bench) -> Result:
    """Warm logins one at a time, each with the pool full; then the cold ones."""
    count, cold_count = bench.few(3, 20), bench.few(1, 2)
    mark(f"{count} logins below `warminfra exec`")
    bench.pool(POOL)
    total: list[float] = []
    steps: dict[str, list[float]] = {"lease": [], "app": [], "login": []}
    for number in range(-2, count):
        port = free_port()
        lease = ["warminfra", "exec", "--recipe", RECIPE, "--domain", f"127.0.0.1:{port}", "--"]
        started = time.monotonic()
        told = _child([*lease, *CHILD, str(port)], bench.environment())
        bench.settle(POOL)
        if number >= 0:
            total.append(told["done"] - started)
            steps["lease"].append(told["began"] - started)
            steps["app"].append(told["app_s"])
            steps["login"].append(told["login_s"])
    mark(f"{cold_count} cold Keycloak, about a minute each")
    cold = [_cold(bench) for _ in range(cold_count)]
    return Result(
        "login",
        [
            line_p50("start of `exec` to first login", total, "s", limit=LIMIT),
            line_p50("- of it: `exec` until its command runs", steps["lease"], "s"),
            line_p50("- of it: the stand-in app starts", steps["app"], "s"),
            line_p50("- of it: the login itself", steps["login"], "s"),
            line_p50("cold Keycloak of its own to first login", cold, "s"),
            line_ratio("cold ÷ warm", cold, total),
        ],
        [
            "cold: `kc.sh start-dev` of the unpacked distribution on empty data, its health, one "
            "POST of the realm as admin, then the same app and the same login",
        ],
    )


def _cold(bench: Bench) -> float:
    port = free_port()
    cache = Path(bench.installation.env["XDG_CACHE_HOME"]) / "warminfra"
    with cold_keycloak(cache) as server:
        made = time.monotonic()
        env, password, _ = server.realm(f"127.0.0.1:{port}")
        told = _child([*CHILD, str(port)], {**bench.environment(), **env, "ALICE": password})
    return float(server.ready_s + told["done"] - made)


def _child(command: list[str], env: Mapping[str, str]) -> dict[str, float]:
    done = subprocess.run(
        command,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout)
    return told
