"""A whole installation of its own, in a throwaway folder: for demo, tests, benchmarks and soak.

The downloads and the built server come from the user's cache; everything else is new and goes at
the end, processes included (ended by the pids that the installation itself wrote down).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isolation_checks.remains import removed_at_the_end
from warminfra.client.client import Client
from warminfra.config import load
from warminfra.core.ids import InstallationId, InstanceId, TenantId
from warminfra.core.models import ProcessRef, ServerAccess
from warminfra.core.secret import Secret
from warminfra.instances.processes import SystemProcesses
from warminfra.ledger import Ledger
from warminfra_keycloak import package
from warminfra_keycloak.provider import KeycloakProvider

RECIPES = Path(__file__).resolve().parent / "recipes"
LASUITE_DOCS = RECIPES / "lasuite-docs"
START_PATIENCE = 600.0
"""Seconds for an `up`: with an empty cache it downloads, builds and initialises the server."""


def wait_until(
    condition: Callable[[], Any], timeout: float, what: str, poll: float = 0.05
) -> float:
    """Wait for `condition`; return the seconds it took. Raises TimeoutError naming `what`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(poll)
    return time.monotonic() - started


@dataclass(frozen=True)
class Installation:
    """One installation below `folder`; `env` is the environment of its commands."""

    folder: Path
    env: Mapping[str, str]

    @classmethod
    @contextmanager
    def temporary(
        cls, *, policy: str = "unproven", config: str = "", environ: Mapping[str, str] | None = None
    ) -> Iterator[Installation]:
        """Make one with the given sharing policy and further TOML.

        It is ended and removed afterwards, also if this process is killed.
        """
        folder = Path(tempfile.mkdtemp(prefix="wi-", dir="/tmp"))
        env = {
            name: value for name, value in os.environ.items() if not name.startswith("WARMINFRA_")
        }
        dirs = {"state": "XDG_STATE_HOME", "run": "XDG_RUNTIME_DIR", "config": "XDG_CONFIG_HOME"}
        for name, variable in dirs.items():
            (folder / name).mkdir(mode=0o700)
            env[variable] = str(folder / name)
        env["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        env.update(environ or {})
        settings = folder / "config" / "warminfra" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(f'[sharing]\npolicy = "{policy}"\n{config}')
        installation = cls(folder, env)
        with removed_at_the_end(folder):
            try:
                yield installation
            finally:
                installation.end()

    # ------------------------------------------------------------ commands

    def run(
        self,
        *arguments: str,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `warminfra ARGUMENTS`; with `check` a failure raises with its stderr."""
        done = subprocess.run(
            ["warminfra", *arguments],
            env={**self.env, **(env or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"warminfra {arguments[0]}: {done.returncode}: {done.stderr}")
        return done

    def json(self, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
        """Run a command with `-o json` and return its document."""
        return json.loads(self.run(*arguments, "-o", "json", env=env).stdout)

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[str]:
        """Start `warminfra COMMAND` and return at once."""
        return subprocess.Popen(
            ["warminfra", *command],
            env={**self.env, **options.pop("env", {})},
            cwd=self.folder,
            text=True,
            **options,
        )

    def up(self) -> float:
        """`warminfra up`; return the seconds it took."""
        started = time.monotonic()
        self.run("up", timeout=START_PATIENCE)
        return time.monotonic() - started

    def enroll(self, path: Path = LASUITE_DOCS, *options: str) -> None:
        """Enrol a recipe by its folder."""
        self.run("enroll", path.name, str(path), *options)

    def client(self, *, admin: bool = False) -> Client:
        """Return a client of the service; the caller closes it."""
        return Client(self.runtime_dir, admin=admin)

    def tenants(self) -> dict[str, int]:
        """Return the number of tenants by state."""
        counts: dict[str, int] = self.json("status")["tenants"]
        return counts

    def wait_ready(self, tenants: int, timeout: float = 60.0) -> float:
        """Wait until the pool holds so many ready tenants; return the seconds it took."""
        return wait_until(
            lambda: self.tenants()["ready"] >= tenants, timeout, f"{tenants} ready tenants"
        )

    # ------------------------------------------------------------ what it is made of

    @property
    def state_dir(self) -> Path:
        return self.folder / "state" / "warminfra"

    @property
    def runtime_dir(self) -> Path:
        return load(environ=self.env, cwd=self.folder).settings.service.runtime_dir

    @property
    def ledger_path(self) -> Path:
        return self.state_dir / "ledger.db"

    def ledger(self) -> Ledger:
        """Open the ledger beside the service, to look; the caller closes it."""
        return Ledger.open(self.ledger_path)

    def service_pid(self) -> int | None:
        """Return the pid that holds the state directory, if it lives."""
        with suppress(FileNotFoundError, ValueError):
            pid = int((self.state_dir / "service.lock").read_text())
            with suppress(ProcessLookupError):
                os.kill(pid, 0)
                return pid
        return None

    def keycloak_pids(self) -> list[int]:
        """Return the pids of the servers that live."""
        pids = []
        for file in (self.state_dir / "instances").glob("*/process.json"):
            with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
                ref = ProcessRef(*json.loads(file.read_text())["process"])
                if SystemProcesses().alive(ref):
                    pids.append(ref.pid)
        return pids

    def kill_service(self) -> None:
        """Kill -9 of the service, if it lives."""
        pid = self.service_pid()
        if pid:
            _kill(pid)

    def kill_keycloak(self) -> None:
        """Kill -9 of every server of it."""
        for pid in self.keycloak_pids():
            _kill(pid)

    def ports(self) -> dict[InstanceId, dict[str, int]]:
        """Return the ports of the instances, by what each is for."""
        return {
            InstanceId(file.parent.name): json.loads(file.read_text())
            for file in (self.state_dir / "instances").glob("*/ports.json")
        }

    def access(self) -> dict[InstanceId, ServerAccess]:
        """Return how the service reaches its instances: its least-privileged identities."""
        found, ports = {}, self.ports()
        for identity in (self.state_dir / "instances").glob("*/data/identity.json"):
            instance = InstanceId(identity.parent.parent.name)
            port = ports[instance]["http"]
            secrets = json.loads(identity.read_text())
            found[instance] = ServerAccess(
                f"http://127.0.0.1:{port}", {name: Secret(text) for name, text in secrets.items()}
            )
        return found

    def provider(self) -> KeycloakProvider:
        """Return a provider beside the service's own on the only instance; the caller closes it."""
        (access,) = self.access().values()
        installation = json.loads((self.state_dir / "installation.json").read_text())["id"]
        provider = package.connect(access, InstallationId(installation), {})
        assert isinstance(provider, KeycloakProvider)
        return provider

    def lies(self) -> list[str]:
        """Compare ledger, server and master; return a line for each thing that is not as it says.

        Only when nothing is being made or taken down is an empty answer to be expected.
        """
        provider, ledger = self.provider(), self.ledger()
        try:
            realms = {str(found.ref.id) for found in provider.list_tenants()}
            wrong = [f"in master: {orphan}" for orphan in provider.master_orphans()]
            rows = {str(row): ledger.tenants.get(TenantId(row)) for row in realms}
            wrong += [
                f"realm {realm} without a live row"
                for realm, row in rows.items()
                if row is None or row.state == "gone"
            ]
            with ledger.database.engine.connect() as connection:
                live = connection.exec_driver_sql(
                    "SELECT id, state FROM tenants WHERE state IN ('ready', 'leased')"
                )
                wrong += [f"{row[1]} {row[0]} has no realm" for row in live if row[0] not in realms]
            return wrong
        finally:
            provider.close()
            ledger.close()

    def end(self) -> None:
        """End every process of the installation."""
        pid = self.service_pid()
        if pid:
            with suppress(RuntimeError, subprocess.TimeoutExpired):
                self.run("down", timeout=60.0)
        self.kill_service()
        self.kill_keycloak()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _running(pid), 10.0, f"the end of process {pid}", poll=0.01)


def _running(pid: int) -> bool:
    """Say whether the process runs; one that nobody has waited for yet (a zombie) does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
