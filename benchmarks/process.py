"""The whole `warminfra lease` process beside a Python that only imports what such a tool needs."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.bench import RECIPE, Bench, Document, mark
from benchmarks.report import Result, line_p50, line_ratio

LIMIT = 1.3
POOL = 5
OURS = ["warminfra", "lease", "--recipe", RECIPE, "-o", "json", "--reveal"]
BARE = [sys.executable, "-c", "import typer, httpx"]


def run(bench: Bench) -> Result:
    """Start both in turn, the order changing, with nothing under way at the server."""
    count = bench.few(5, 30)
    mark(f"{count} processes of each kind")
    bench.pool(POOL)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(-2, count):
        for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
            if side == "ours":
                spent, text = _timed(bench, OURS)
                document: Document = json.loads(text)
                bench.release(document)
                bench.settle(POOL)
            else:
                spent, _ = _timed(bench, BARE)
            if number >= 0:
                (ours if side == "ours" else bare).append(spent)
    return Result(
        "process",
        [
            line_p50("`warminfra lease`, whole process", ours),
            line_p50('`python -c "import typer, httpx"`', bare),
            line_ratio("ratio", ours, bare, limit=LIMIT),
        ],
        ["the first two of each kind are not counted: they write and read byte code and files"],
    )


def _timed(bench: Bench, command: list[str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        command,
        env=bench.environment(),
        cwd=bench.installation.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return (time.perf_counter() - started) * 1000, done.stdout
