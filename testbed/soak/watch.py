"""Looks at an installation from beside: the ledger's file, processes, Keycloak's start.

Nothing here goes through the service, so it works while the service is dead.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.installation import Installation

_ALL = (
    "SELECT tenants.id, tenants.state, reason, uncertain_until, coalesce(run, ''),"
    " coalesce(leases.state, ''), coalesce(deadline, 0.0), coalesce(domain, '')"
    " FROM tenants LEFT JOIN leases ON leases.id = tenants.id"
)

LIVE = ("creating", "ready", "leased", "retiring")


def boot() -> float:
    """Return the seconds since the machine started, the clock of deadlines and processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger says of one tenant and its lease."""

    id: str
    state: str
    reason: str
    uncertain_until: float
    run: str
    lease: str
    deadline: float
    domain: str

    @property
    def ended(self) -> bool:
        """Say whether the tenant is in teardown or gone."""
        return self.state in ("retiring", "gone")


class LedgerFile:
    """The ledger, read only."""

    def __init__(self, installation: Installation) -> None:
        self._uri = f"file:{installation.ledger_path}?mode=ro"

    def rows(self) -> dict[str, Row]:
        """Return every tenant that there ever was, by id."""
        return {row.id: row for row in self._rows(_ALL)}

    def row(self, tenant: str) -> Row | None:
        """Return one tenant."""
        return next(self._rows(_ALL + " WHERE tenants.id = ?", tenant), None)

    def of_run(self, run: str) -> list[Row]:
        """Return the tenants that were leased to `run`."""
        return list(self._rows(_ALL + " WHERE leases.run = ?", run))

    def counts(self) -> dict[str, int]:
        """Return the number of tenants by state."""
        with self._open() as connection:
            found = connection.execute("SELECT state, count(*) FROM tenants GROUP BY state")
            return dict(found.fetchall())

    def material(self, tenant: str) -> dict[str, Any]:
        """Return the ids and secrets of a tenant that is not gone."""
        with self._open() as connection:
            query = "SELECT material FROM tenants WHERE id = ?"
            found: dict[str, Any] = json.loads(connection.execute(query, (tenant,)).fetchone()[0])
            return found

    def _rows(self, query: str, *values: str) -> Iterator[Row]:
        with self._open() as connection:
            for row in connection.execute(query, values).fetchall():
                yield Row(*row)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._uri, uri=True, timeout=10.0)) as connection:
            yield connection


def marked(mark: str) -> list[int]:
    """Return the processes, whoever's children, whose environment holds `mark`; no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def started_at(pid: int) -> float | None:
    """Return when process `pid` started, on the boot clock; None if it does not live."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] not in "ZX":
            return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return None


@dataclass(slots=True)
class KeycloakStarts:
    """Watches servers start; `tick` it often. Times are of the boot clock."""

    installation: Installation
    own: dict[int, float] = field(default_factory=dict)
    """Seconds from a server's process start to its health, by pid."""
    _begun: dict[int, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Note a server that has come up since."""
        for folder in (self.installation.state_dir / "instances").glob("*"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                pid, _ = json.loads((folder / "process.json").read_text())["process"]
                if pid in self.own:
                    continue
                begun = self._begun.get(pid) or started_at(pid)
                if begun is None:
                    continue
                self._begun[pid] = begun
                port = json.loads((folder / "ports.json").read_text())["management"]
                if healthy(port):
                    self.own[pid] = boot() - begun

    def last(self) -> float:
        """Return what the newest server needed for its own start."""
        return self.own[max(self.own, key=self._begun.__getitem__)] if self.own else 0.0


def healthy(port: int) -> bool:
    """Say whether the server on that management port calls itself ready."""
    with suppress(OSError, urllib.error.URLError):
        url = f"http://127.0.0.1:{port}/health/ready"
        with urllib.request.urlopen(url, timeout=1.0) as answer:
            return bool(answer.status == 200)
    return False
