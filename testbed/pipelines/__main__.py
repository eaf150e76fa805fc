"""`python -m testbed.pipelines --count 200 --seed 1`: figures, and exit code 1 at a violation."""

from __future__ import annotations

import argparse
import statistics
import sys

from testbed.installation import Installation
from testbed.pipelines.simulation import CONFIG, Simulation


def main() -> int:
    """Simulate on an installation of its own."""
    parser = argparse.ArgumentParser(prog="python -m testbed.pipelines", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="pipelines")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    parser.add_argument("--kills", type=int, default=3, help="kill -9 of the service in between")
    chosen = parser.parse_args()
    with Installation.temporary(config=CONFIG) as installation:
        installation.up()
        installation.enroll()
        installation.wait_ready(1)
        simulation = Simulation(installation, chosen.count, chosen.seed, chosen.kills)
        wrong = simulation.run()
    waits = sorted(simulation.waits())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(simulation.counts().items()))
    print(f"{chosen.count} pipelines: {kinds}")
    print(f"{len(waits)} had a lease, after {statistics.median(waits):.1f} s (median), "
          f"{waits[-1]:.1f} s at most; overtaken by {simulation.overtaken()} at most")  # fmt: skip
    print(f"violations: {len(wrong)}")
    for line in wrong:
        print(f"VIOLATION: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
