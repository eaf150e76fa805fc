"""Runs the pipelines, kills the service in between, and judges what must hold.

- No double lease: no two pipelines were handed one tenant, and one that asked again with its key
  has one lease in all.
- No leak: afterwards no lease is active, every tenant that was leased is gone from ledger, server
  and master, no process of a pipeline lives, and no document is left behind by `exec`.
- No lost place: who waits gets a lease, whatever dies meanwhile, before those that came later; only
  a pipeline that began while the service was dead may be told so.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from testbed.installation import Installation, wait_until
from testbed.pipelines.run import KINDS, MARK, UNREACHABLE, WEIGHTS, Pipeline, boot
from testbed.soak.watch import LedgerFile, marked

CONFIG = """
[pool]
min = 1
max = 2
[instances]
soft_cap = 8
hard_cap = 12
[keycloak]
transaction_timeout = "10s"
"""
"""A small node, so that pipelines have to wait for each other."""

AT_ONCE = 14
AWAY = 125
"""What `exec` returns if the service does not answer at its start."""
SURE = ("completes", "abandoned", "orphaned", "retried")
"""Kinds that nobody ends before they have their lease."""
LATER = 5.0
"""Seconds by which somebody must have come later to count as having overtaken."""
MOST_OVERTAKEN = 2
"""By so many: a client that a busy machine keeps from asking for ten seconds has lost its place."""
DRAIN = 120.0


@dataclass(slots=True)
class Simulation:
    """`count` pipelines, drawn by `seed`; the service is killed `kills` times, spread evenly."""

    installation: Installation
    count: int
    seed: int
    kills: int
    tell: Callable[[str], None] = print
    pipelines: list[Pipeline] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _away: list[tuple[float, float]] = field(default_factory=list)
    _done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self) -> list[str]:
        """Do it; return what was wrong."""
        chance = random.Random(self.seed)
        kinds = [kind for kind in KINDS for _ in range(WEIGHTS.get(kind, 1))]
        folder = self.installation.folder / "pipelines"
        folder.mkdir(mode=0o700)
        self.pipelines = [
            Pipeline(
                f"pipe-{self.seed}-{number:03}-x",
                chance.choice(kinds),
                self.installation,
                folder,
                random.Random(chance.random()),
            )
            for number in range(self.count)
        ]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            futures = [threads.submit(self._one, one) for one in self.pipelines]
            self._kill_the_service()
            for future in futures:
                future.result()
        for one in self.pipelines:
            self._judge(one)
        if self.overtaken() > MOST_OVERTAKEN:
            self.violations.append(f"{self.overtaken()} that came later were served before")
        self._doubles()
        self._leaks()
        return self.violations

    def overtaken(self) -> int:
        """Return by how many that came later the unluckiest was overtaken."""
        served = [one for one in self.pipelines if one.granted and one.kind in SURE]
        return max(
            (
                sum(
                    other.began > one.began + LATER and other.granted < one.granted
                    for other in served
                )
                for one in served
            ),
            default=0,
        )

    def waits(self) -> list[float]:
        """Return the seconds from begin to lease of those that nobody ended before."""
        return [one.granted - one.began for one in self.pipelines if one.granted]

    def counts(self) -> Counter[str]:
        """Return how many there were of each kind."""
        return Counter(one.kind for one in self.pipelines)

    # ------------------------------------------------------------ at work

    def _one(self, one: Pipeline) -> None:
        one.run()
        self._done.release()
        self.tell(f"{one.name} {one.kind}: {one.code}, {one.ended - one.began:.1f} s")

    def _kill_the_service(self) -> None:
        step = self.count // (self.kills + 1)
        for _ in range(self.kills):
            for _ in range(step):
                self._done.acquire()
            gone = boot()
            self.installation.kill_service()
            took = self.installation.up()
            self._away.append((gone, boot()))
            self.tell(f"the service was killed, and is back after {took:.1f} s")

    # ------------------------------------------------------------ afterwards

    def _judge(self, one: Pipeline) -> None:
        self.violations += [f"{one.name} ({one.kind}): {line}" for line in one.violations]
        rows = LedgerFile(self.installation).of_run(one.name)
        if len(rows) > 1:
            self.violations.append(f"{one.name} ({one.kind}) was given {len(rows)} leases")
        if one.kind in SURE and one.code != 0 and not self._was_away(one):
            words = " ".join(one.said.split())
            self.violations.append(f"{one.name} ({one.kind}) ended with {one.code}: {words}")

    def _was_away(self, one: Pipeline) -> bool:
        """Say whether it was told that the service is away while that was true."""
        return one.code in (AWAY, UNREACHABLE) and any(
            one.began <= back and gone <= one.ended for gone, back in self._away
        )

    def _doubles(self) -> None:
        holders: dict[str, set[str]] = {}
        for one in self.pipelines:
            for document in one.documents:
                for what in (document["id"], document["client"]["secret"], document["issuer"]):
                    holders.setdefault(what, set()).add(one.name)
            if len({document["id"] for document in one.documents}) > 1:
                self.violations.append(f"{one.name} has different leases under one key")
        for names in holders.values():
            if len(names) > 1:
                self.violations.append(f"one tenant for {', '.join(sorted(names))}")

    def _leaks(self) -> None:
        ledger = LedgerFile(self.installation)
        with self.installation.client() as client:
            for what, over in (
                ("the end of every lease", lambda: not client.leases()),
                ("the end of every teardown", lambda: not ledger.counts().get("retiring")),
                ("the refill", lambda: ledger.counts().get("ready", 0) > 0),
            ):
                try:
                    wait_until(over, DRAIN, what)
                except TimeoutError as error:
                    self.violations.append(str(error))
        for one in self.pipelines:
            self.violations += [
                f"{one.name} ({one.kind}): tenant {row.id} is {row.state}"
                for row in ledger.of_run(one.name)
                if row.state != "gone"
            ]
        self.violations += self._lies()
        left = marked(f"{MARK}=pipe-{self.seed}-")
        self.violations += [f"process {pid} of a pipeline lives on" for pid in left]
        files = [file.name for file in self.installation.runtime_dir.glob("*-*.json")]
        if len(files) > sum(one.kind == "killed" for one in self.pipelines):
            self.violations.append(f"documents left behind: {', '.join(files)}")

    def _lies(self) -> Sequence[str]:
        found: list[str] = []

        def honest() -> bool:
            found[:] = self.installation.lies()
            return not found

        with suppress(TimeoutError):
            wait_until(honest, 30.0, "agreement of ledger and server", poll=1.0)
        return found
