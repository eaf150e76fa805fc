"""`make soak-prover`: self-tests with some seeds, then audits of the system as it is.

It goes on where it was stopped: what was finished stands in the state file. A state of other code
than what runs now is refused, for its numbers would be of something else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from testbed.prover.results import State, spent, table, whole
from warminfra.core.errors import WarminfraError

WARMINFRA = Path(sys.executable).with_name("warminfra")
TOLD = Path("docs/perf/kill-table.md")
RUNS = Path("docs/perf/prover-runs.json")
"""What the table is made of, kept beside it: another machine goes on where this one stopped."""


def main() -> int:
    """Run what is missing, write the table; 0 if every fault was seen and nothing cried wolf."""
    order = _order()
    state = State.read(order.state, fresh=order.fresh)
    for seed in range(1, order.seeds + 1):
        if str(seed) not in state.self_tests:
            state.self_tests[str(seed)] = _self_test(seed, order.lease_class)
            state.write()
    key = f"{order.profile} {order.lease_class}"
    audits = state.audits.setdefault(key, [])
    while len(audits) < order.audits:
        audits.append(_audit(order.profile, order.lease_class, 1000 + len(audits)))
        state.write()
    if order.write:
        order.write.write_text(table(state))
    print(table(state))
    return 0 if whole(state) else 1


def _order() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testbed.prover", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="self-tests")
    parser.add_argument("--audits", type=int, default=20, help="audits of the unmutated system")
    parser.add_argument("--profile", default="standard", help="of the audits")
    parser.add_argument("--class", dest="lease_class", default="user")
    parser.add_argument("--state", type=Path, default=RUNS)
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--write", type=Path, help=f"write the table there, such as {TOLD}")
    return parser.parse_args()


def _self_test(seed: int, lease_class: str) -> dict[str, Any]:
    _say(f"self-test, seed {seed}")
    with tempfile.TemporaryDirectory(prefix="soak-prover-") as folder:
        args = ["audit", "--self-test", "--seed", str(seed), "--class", lease_class]
        done = _run(Path(folder), [*args, "--report", folder])
        file = Path(folder) / "kill-table.json"
        if not file.is_file():
            raise SystemExit(f"the self-test of seed {seed} broke off with {done}")
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def _audit(profile: str, lease_class: str, seed: int) -> dict[str, Any]:
    _say(f"audit, profile {profile}, seed {seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-prover-") as folder:
        args = ["audit", "--profile", profile, "--seed", str(seed), "--class", lease_class]
        code = _run(Path(folder), [*args, "--report", folder])
        file = Path(folder) / "verdict.json"
        verdict = json.loads(file.read_text()) if file.is_file() else {}
        trace = Path(folder) / "trace.ndjson"
        where = spent(trace if trace.is_file() else Path(os.devnull))
    return {
        "seed": seed,
        "code": code,
        "outcome": verdict.get("outcome", f"broke off with {code}"),
        "findings": verdict.get("findings", []),
        "reasons": verdict.get("reasons", []),
        "seconds": round(time.monotonic() - began, 1),
        "spent": where,
    }


def _run(folder: Path, args: list[str]) -> int:
    """Run the installed command with a state directory of its own; its progress is ours."""
    environment = {
        **os.environ,
        "WARMINFRA_SERVICE__STATE_DIR": str(folder / "state"),
        "WARMINFRA_SERVICE__RUNTIME_DIR": str(folder / "run"),
    }
    return subprocess.run(
        [WARMINFRA, *args], env=environment, stdout=subprocess.DEVNULL, check=False
    ).returncode


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WarminfraError as error:
        sys.exit(str(error))
