"""`python -m testbed.soak --rounds 50 --seed 1`: a table at the end, exit code 1 at a violation."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from testbed.installation import Installation
from testbed.soak.course import CONFIG, Course
from testbed.soak.rounds import Outcome

console = Console(highlight=False)


def main() -> int:
    """Soak an installation of its own."""
    parser = argparse.ArgumentParser(prog="python -m testbed.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="rounds with random kills")
    parser.add_argument(
        "--acks", type=int, default=-1, help="kills of Keycloak after acknowledged changes"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    chosen = parser.parse_args()
    acks = chosen.rounds if chosen.acks < 0 else chosen.acks
    with Installation.temporary(config=CONFIG) as installation:
        console.print(f"seed {chosen.seed}; starting the service and its Keycloak …")
        installation.up()
        installation.enroll()
        installation.wait_ready(2)
        course = Course(installation, chosen.seed, tell=console.print)
        rounds = course.rounds(chosen.rounds)
        acknowledged = course.acknowledged(acks)
        last = course.end()
    report(rounds, acknowledged, last, course.mended)
    wrong = [line for one in rounds + acknowledged for line in one.violations] + last
    return 1 if wrong else 0


def report(
    rounds: Sequence[Outcome],
    acknowledged: Sequence[Outcome],
    last: Sequence[str],
    mended: Counter[str],
) -> None:
    """Print what was done, how long it took, what was wrong."""
    table = Table(title="soak", title_justify="left")
    for name in ("", "rounds", "median", "max", "limit"):
        table.add_column(name, justify="left" if not name else "right")
    both = [*rounds, *acknowledged]
    kills = Counter(victim for one in rounds for victim in one.killed)
    for victim, times in sorted(kills.items()):
        table.add_row(f"kill -9 of {victim}", str(times))
    table.add_row("kill -9 of keycloak after acknowledged changes", str(len(acknowledged)))
    _row(table, "Keycloak's own start", [one.start for one in both if one.start], "")
    _row(table, "convergence beyond it", [one.convergence for one in both], "15.0 s")
    _row(table, "backlog drained after", [one.drain for one in both], "")
    torn = [one.exec_teardown for one in rounds if one.exec_teardown is not None]
    _row(table, "killed exec → teardown", torn, "12.0 s")
    held = [one.holder_teardown for one in rounds if one.holder_teardown is not None]
    _row(table, "dead holder's deadline → teardown", held, "10.0 s")
    for what, times in sorted(mended.items()):
        table.add_row(f"reconciled: {what}", str(times))
    wrong = [line for one in both for line in one.violations] + list(last)
    table.add_row("violations", str(len(wrong)), style="red" if wrong else "green")
    console.print(table)
    for line in wrong:
        console.print(f"VIOLATION: {line}", style="red", markup=False)


def _row(table: Table, name: str, values: Sequence[float], limit: str) -> None:
    if values:
        table.add_row(
            name,
            str(len(values)),
            f"{statistics.median(values):.2f} s",
            f"{max(values):.2f} s",
            limit,
        )


if __name__ == "__main__":
    sys.exit(main())
