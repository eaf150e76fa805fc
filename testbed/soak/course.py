"""Many rounds on one installation, seeded, and the look at everything when they are over."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from testbed.installation import Installation, wait_until
from testbed.soak.judge import Judge
from testbed.soak.rounds import KILLS, RECIPE, Acknowledged, Outcome, Round
from testbed.soak.watch import LedgerFile

CONFIG = """
[pool]
min = 3
max = 4
[keycloak]
transaction_timeout = "10s"
"""
"""The server gives up what is under way early, so that doubtful creates settle within the soak."""

_DOUBT_OVER = 90.0
_SWEPT = re.compile(r"(lost_ready|lost_leased|resurrected|unknown)=(\d+)")


@dataclass(slots=True)
class Course:
    """Draws, runs, judges. One seed gives the same victims at the same moments."""

    installation: Installation
    seed: int
    tell: Callable[[str], None] = print
    mended: Counter[str] = field(default_factory=Counter)
    """What the service's reconciliation found and mended, as its log tells."""
    judge: Judge = field(init=False)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        documents = Path(self.installation.folder) / "documents"
        documents.mkdir(mode=0o700, exist_ok=True)
        self.judge = Judge(self.installation, documents)
        self._chance = random.Random(self.seed)

    def rounds(self, count: int) -> list[Outcome]:
        """Run `count` rounds; every set of victims comes up about equally often."""
        done: list[Outcome] = []
        deck: list[tuple[str, ...]] = []
        for number in range(1, count + 1):
            if not deck:
                deck = list(KILLS)
                self._chance.shuffle(deck)
            victims = deck.pop()
            chance = random.Random(self._chance.random())
            outcome = Outcome(number, victims)
            done.append(Round(self.installation, self.judge, chance, outcome).run())
            self.tell(outcome.line())
        return done

    def acknowledged(self, count: int) -> list[Outcome]:
        """Kill Keycloak `count` times right after acknowledged creates and deletes."""
        done: list[Outcome] = []
        for number in range(1, count + 1):
            chance = random.Random(self._chance.random())
            outcome = Outcome(number, ("keycloak after an answer",))
            done.append(Acknowledged(self.installation, self.judge, chance, outcome).run())
            self.tell(outcome.line())
        return done

    def end(self) -> list[str]:
        """End all, and look for what is left: in rows, logs and the server's own database."""
        ledger = LedgerFile(self.installation)
        self.installation.run("unenroll", RECIPE, "--yes")
        live = ("creating", "ready", "leased", "retiring")
        try:
            wait_until(
                lambda: not any(ledger.counts().get(state) for state in live),
                _DOUBT_OVER,
                "the end of every tenant",
            )
        except TimeoutError as error:
            wrong = [f"{error}: {ledger.counts()}"]
        else:
            wrong = []
        wrong += self.judge.lies() + self.judge.left_roles() + self.judge.doubles()
        wrong += self.judge.told()
        self.judge.close()
        self.installation.run("down")
        wrong += self.judge.database()
        log = (self.installation.state_dir / "service.log").read_text()
        for line in log.splitlines():
            if "ledger and server differed" in line:
                for what, times in _SWEPT.findall(line):
                    self.mended[what] += int(times)
        return wrong
