"""The installation that the benchmarks of one call share, and how each brings it to its start.

Invariant: a measurement begins with the pool as full as it asked for and nothing under way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import probes
from testbed.installation import LASUITE_DOCS, Installation, wait_until
from warminfra.client.client import Client
from warminfra.config import load
from warminfra.core.ids import InstallationId, TemplateHash
from warminfra.core.models import ServerAccess
from warminfra.core.secret import Secret
from warminfra.core.template import Template
from warminfra.ledger import Ledger
from warminfra_keycloak import package
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.provider import KeycloakProvider

RECIPE = "lasuite-docs"
ROOT = Path(__file__).resolve().parent.parent
MEASURER = InstallationId("benchmrk")
"""Owns what is made beside the service, by its own identities; its sweeper does not look there."""

CAPS = "[instances]\nsoft_cap = 600\nhard_cap = 600\nreplace_after = 100000\n"

PATIENCE = 900.0
"""Seconds; the backlog of a long load is hundreds of teardowns."""

Document = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """A running installation with a client; `quick` asks for few samples."""

    installation: Installation
    quick: bool
    client: Client
    admin: Client

    @classmethod
    @contextmanager
    def started(cls, *, quick: bool, config: str = CAPS) -> Iterator[Bench]:
        """Start an installation with sharing policy `unproven`, the recipe enrolled, pool empty."""
        with Installation.temporary(config=f"[pool]\nmin = 0\nmax = 0\n{config}") as installation:
            installation.up()
            with (
                closing(installation.client()) as client,
                closing(installation.client(admin=True)) as admin,
            ):
                bench = cls(installation, quick, client, admin)
                bench.pool(0)
                yield bench

    def few(self, quick: int, full: int) -> int:
        """Return how many samples to take."""
        return quick if self.quick else full

    # ------------------------------------------------------------ the state to begin with

    def pool(self, size: int) -> None:
        """Have exactly so many ready tenants, and wait until nothing is under way."""
        self.admin.enroll(RECIPE, LASUITE_DOCS, pool_min=size, pool_max=size)
        self.settle(size)

    def settle(self, ready: int) -> None:
        """Wait until so many tenants are ready and none is being made or taken down."""
        wait_until(lambda: self._settled(ready), PATIENCE, f"{ready} ready tenants", poll=0.1)

    def _settled(self, ready: int) -> bool:
        found = self.client.status()["tenants"]
        return bool(found["ready"] == ready and found["creating"] == found["retiring"] == 0)

    def release(self, *documents: Document) -> None:
        """Give leases back; returns at once."""
        for document in documents:
            self.client.release(document["id"], Secret(document["handle"]))

    # ------------------------------------------------------------ beside the service

    def environment(self) -> dict[str, str]:
        """Return the environment of commands; byte code is cached, as in an installed package."""
        return {
            name: value
            for name, value in self.installation.env.items()
            if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
        }

    def access(self) -> ServerAccess:
        """Return how the service reaches its server: its own two identities."""
        (access,) = self.installation.access().values()
        return access

    def template(self) -> Template:
        """Return the template of the enrolled recipe."""
        (row,) = self.client.recipes()
        with closing(Ledger.open(self.installation.ledger_path)) as ledger:
            return ledger.recipes.template(TemplateHash(row["template_hash"]))

    def service_pid(self) -> int:
        """Return the service's process."""
        pid = self.installation.service_pid()
        assert pid is not None, "the service died"
        return pid

    def keycloak_memory(self) -> probes.Memory:
        """Return what all of the installation's servers take, in MiB."""
        return probes.memory(*self.installation.keycloak_pids())

    def runtime_dir(self) -> Path:
        """Return where the sockets are; for clients in processes of their own."""
        return load(
            environ=self.installation.env, cwd=self.installation.folder
        ).settings.service.runtime_dir


def maker(access: ServerAccess) -> AdminConnection:
    """Return a connection as the service's maker, to do by hand what the service does."""
    identity = access.identity
    return AdminConnection(access.base_url, identity["maker_id"].reveal(), identity["maker_secret"])


def provider(access: ServerAccess) -> KeycloakProvider:
    """Return the product's provider for `MEASURER`, with the service's identities."""
    return package.connect(access, MEASURER, {})


def mark(text: str) -> None:
    """Say what is being done."""
    print(f"… {text}", flush=True, file=sys.stderr)
