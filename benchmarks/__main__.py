"""`python -m benchmarks [--quick] [--json FILE] [NAME…]`: measure, print, judge.

A target that is missed is printed as MISSED and changes no exit code; a measurement that could not
be made, or a double lease, ends with a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import (
    audit,
    burst,
    dedicated,
    growth,
    images,
    lease,
    login,
    on_demand,
    probes,
    process,
    replacement,
    sustained,
    warm,
)
from benchmarks.bench import Bench, mark
from benchmarks.report import MISSED, Result, table

SHARED: dict[str, Callable[[Bench], Result]] = {
    "on-demand": on_demand.run,
    "lease": lease.run,
    "process": process.run,
    "login": login.run,
    "burst": burst.run,
    "sustained": sustained.run,
}
"""Run on one installation, one after the other."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "warminfra"
ALONE: dict[str, Callable[[bool], Result]] = {
    "growth": lambda quick: growth.run(quick, CACHE),
    "warm": warm.run,
    "dedicated": lambda quick: dedicated.run(quick, CACHE),
    "audit": audit.run,
    "replacement": replacement.run,
    "images": images.run,
    "deploy": images.run_deploy,
}
"""Run on an installation of their own."""


def main() -> None:
    """Measure what was asked for."""
    names = [*SHARED, *ALONE]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all")
    parser.add_argument("--quick", action="store_true", help="few samples: a smoke run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args()
    unknown = sorted({*options.names} - {*names})
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = [name for name in names if not options.names or name in options.names]
    started = datetime.now(UTC)
    print(" ".join(f"{name}: {value};" for name, value in probes.machine().items()))
    results = list(_results(wanted, options.quick))
    missed = [
        f"{result.name}: {line.what}"
        for result in results
        for line in result.lines
        if line.verdict == MISSED
    ]
    print("\nmissed: " + ("; ".join(missed) or "nothing"))
    if options.quick:
        print("--quick: few samples, nothing to conclude from")
    if options.json:
        document = {
            "schema": "warminfra.bench/v1",
            "started": started.isoformat(timespec="seconds"),
            "quick": options.quick,
            "machine": probes.machine(),
            "results": [result.to_json() for result in results],
        }
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False))


def _results(wanted: list[str], quick: bool) -> list[Result]:
    results = []
    shared = [name for name in wanted if name in SHARED]
    if shared:
        mark("starting an installation")
        with Bench.started(quick=quick) as bench:
            for name in shared:
                results.append(_one(name, partial(SHARED[name], bench)))
    for name in wanted:
        if name in ALONE:
            results.append(_one(name, partial(ALONE[name], quick)))
    return results


def _one(name: str, measure: Callable[[], Result]) -> Result:
    load = probes.load()
    began = time.monotonic()
    result = measure()
    result.load_before, result.seconds = load, time.monotonic() - began
    print(f"\n## {name}\n\nload before {load:.2f}, {result.seconds:.0f} s\n\n{table(result)}")
    return result


if __name__ == "__main__":
    main()
