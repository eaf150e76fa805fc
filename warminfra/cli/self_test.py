"""`audit --self-test`: is the prover blind? Plants every fault, and prints the kill table."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from isolation_checks.events import Event
from isolation_checks.mutants.base import Mutant
from isolation_checks.mutants.catalogue import MUTANTS
from isolation_checks.reports.console import line
from isolation_checks.reports.kills import kill_table, write_kills
from isolation_checks.selftest import KillTable, SelfTest
from warminfra.cli import prove, session
from warminfra.cli.output import emit


def self_test(order: prove.Order, foreign: Sequence[Mutant]) -> KillTable:
    """Run it, write the table into the report's folder if there is one, and print it."""

    def tell(event: Event) -> None:
        text = line(event)
        if text:
            session.say(text)

    run = SelfTest(
        session.loaded().settings,
        prove.package(),
        prove.recipe_of(order),
        order.lease_class,
        order.seed or secrets.randbits(32),
        tell,
        (*foreign, *MUTANTS),
    )
    prove.quiet_log()
    table = run.run()
    if order.report:
        write_kills(order.report, table)
        session.say(f"kill table: {order.report}")
    emit(kill_table(table))
    return table
