"""Servers as local processes that outlive the service.

Layout: `<state>/instances/<id>/` (0700) with `ports.json` and what `ServerDirectory` keeps.
`data/identity.json` (0600) holds our identities on the server. Invariant: it is written last, so
data without it was not taken over completely and is begun anew; and since it lies within the data,
no kill can part the two.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from warminfra.core.entropy import Entropy, SystemEntropy
from warminfra.core.errors import Unreachable
from warminfra.core.files import file_lock, part_of, private_dir, storage, write_private
from warminfra.core.ids import INSTANCE_PATTERN, InstallationId, InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.ports import Distribution, Progress
from warminfra.core.secret import Secret
from warminfra.core.states import InstanceKind
from warminfra.instances.addresses import ports_of
from warminfra.instances.processes import age
from warminfra.instances.server import (
    INSTANCES,
    STOP_GRACE,
    Launch,
    ServerDirectory,
    StartFailed,
)
from warminfra.instances.snapshots import Snapshots

START_PATIENCE = 120.0
"""Seconds for a start on data that exists; Keycloak takes 7 to 10, more on a busy machine."""

_TRIES = 2
_KIND = "kind"
"""Names the kind of launcher that an instance's folder is of."""
_BROKEN = "data.broken-"


class LocalLauncher:
    """Runs each instance as a process of this user, where the distribution listens.

    `http_port` and `management_port` are 0 for free ones, which an instance then keeps;
    `memory_limit` is bytes of private memory (RLIMIT_DATA), 0 or None for no limit; `kind` tells
    its instances from those of another launcher in the same directory. Calls for one
    instance wait for each other.
    """

    def __init__(
        self,
        distribution: Distribution,
        *,
        installation: InstallationId,
        state_dir: Path,
        cache_dir: Path,
        http_port: int = 0,
        management_port: int = 0,
        memory_limit: int | None = None,
        kind: str = InstanceKind.WARM,
        start_patience: float = START_PATIENCE,
        entropy: Entropy | None = None,
    ) -> None:
        self._distribution = distribution
        self._installation = installation
        self._folder = state_dir / INSTANCES
        self._cache = cache_dir
        self._fixed = {"http": http_port, "management": management_port}
        self._memory_limit = memory_limit or None
        self._kind = kind
        self._patience = start_patience
        self._entropy = entropy or SystemEntropy()
        self._snapshots = Snapshots(distribution, cache_dir, self._memory_limit, self._entropy)

    # ------------------------------------------------------------ the port

    def prepare(self, progress: Progress) -> None:
        """Get, build and pre-initialise the server; cheap if that was done."""
        for discarded in self._folder.glob(".*.part-*"):
            shutil.rmtree(discarded, ignore_errors=True)
        home = self._distribution.obtain(self._cache, progress)
        self._snapshots.obtain(home, progress)

    def instances(self) -> Collection[InstanceId]:
        """Return those of this kind that have a folder, whatever else is in it."""
        kinds = sorted(self._folder.glob(f"{INSTANCE_PATTERN}/{_KIND}"))
        return [InstanceId(kind.parent.name) for kind in kinds if kind.read_text() == self._kind]

    def start(self, instance: InstanceId, progress: Progress) -> RunningInstance:
        """Start the instance or adopt it if it runs; return once it is ready.

        Data that does not open, twice, is set aside and replaced (`fresh_data`). Raises `Conflict`
        (port taken), `StorageFull`, `ConfigInvalid`, or `StartFailed` with the data as it was.
        """
        home = self._distribution.obtain(self._cache, progress)
        server = self._server(instance)
        with self._locked(server):
            if not (server.path / _KIND).exists():
                write_private(server.path / _KIND, self._kind)
            running = self._adopt(instance, server, home, progress)
            if running is not None:
                return running
            if self._identity(server) is None:
                return self._begin(instance, server, home, progress)
            return self._resume(instance, server, home, progress)

    def adopt(self, instance: InstanceId) -> RunningInstance | None:
        """Return the instance if it runs as we would start it now and is healthy, or None."""
        server = self._server(instance)
        launch = server.launch()
        if launch is None or not server.alive(launch) or self._identity(server) is None:
            return None
        home = self._distribution.obtain(self._cache, lambda _: None)
        ports = self._ports(server)
        if launch.digest != server.digest(home, ports) or not self._distribution.healthy(ports):
            return None
        return self._running(instance, server, launch, ports)

    def alive(self, running: RunningInstance) -> bool:
        """Say whether the very process of `running` lives."""
        server = self._server(running.id)
        launch = server.launch()
        return (
            launch is not None
            and launch.incarnation == running.incarnation
            and server.alive(launch)
        )

    def stop(self, instance: InstanceId, *, discard: bool) -> None:
        """Stop the process, cleanly if it lets us; with `discard` remove the instance's files."""
        server = self._server(instance)
        if not server.path.exists():
            return
        with self._locked(server):
            server.end(0.0 if discard else STOP_GRACE)
            if discard:
                with storage(server.path):
                    gone = part_of(server.path)
                    server.path.rename(gone)
                    shutil.rmtree(gone)

    def renounce(self, instance: InstanceId) -> None:
        """Set aside the data, which does not know our identities: the next start begins on a copy
        of the snapshot.

        A server that is killed may lose the end of its own take-over, though it had acknowledged
        it; the bootstrap client that could make others may be gone all the same.
        """
        server = self._server(instance)
        if not server.path.exists():
            return
        with self._locked(server):
            server.end(STOP_GRACE)
            if server.data.exists():
                self._keep_only(server, self._set_aside(server))

    def snapshot_data(self, progress: Progress) -> Path:
        """Return the data that every instance begins as a copy of. Only to be looked at."""
        home = self._distribution.obtain(self._cache, progress)
        return self._snapshots.obtain(home, progress).path / "data"

    def data_of(self, instance: InstanceId) -> Path:
        """Return where the instance keeps its data."""
        return self._server(instance).data

    def fingerprint(self) -> Mapping[str, str]:
        """Return what the distribution says of itself."""
        return self._distribution.fingerprint()

    # ------------------------------------------------------------ starting

    def _adopt(
        self, instance: InstanceId, server: ServerDirectory, home: Path, progress: Progress
    ) -> RunningInstance | None:
        """Return the running server, waiting if it is starting; end it if it is not to be had."""
        launch = server.launch()
        usable = self._identity(server) is not None
        if launch is not None and launch.process is not None and usable and server.alive(launch):
            ports = self._ports(server)
            patience = self._patience - age(launch.process)
            if launch.digest == server.digest(home, ports):
                try:
                    server.wait_ready(launch, ports, max(patience, 0.0))
                    return self._running(instance, server, launch, ports)
                except StartFailed:
                    progress("the server that runs does not answer: starting it anew")
        server.end(STOP_GRACE if usable else 0.0)
        return None

    def _resume(
        self, instance: InstanceId, server: ServerDirectory, home: Path, progress: Progress
    ) -> RunningInstance:
        """Start on the data that is there; replace it if it does not open."""
        for _ in range(_TRIES):
            try:
                progress("starting")
                launch, ports = self._run(server, home)
                return self._running(instance, server, launch, ports)
            except StartFailed as failure:
                progress(failure.message)
        progress("its data does not open: setting it aside for a copy of the snapshot")
        aside = self._set_aside(server)
        try:
            running = self._begin(instance, server, home, progress)
        except BaseException:
            # The fault is not in the data, then: it is not ours to throw away.
            aside.rename(server.data)
            raise
        self._keep_only(server, aside)
        return running

    def _begin(
        self, instance: InstanceId, server: ServerDirectory, home: Path, progress: Progress
    ) -> RunningInstance:
        """Start on a copy of the snapshot and take it over."""
        snapshot = self._snapshots.obtain(home, progress)
        try:
            shutil.rmtree(server.data, ignore_errors=True)
            _require(server)
            snapshot.copy_to(server.data)
            progress("starting")
            launch, ports = self._run(server, home)
            progress("re-keying")
            identity = self._distribution.take_over(
                self._distribution.access(ports, {}), snapshot.bootstrap, self._installation
            )
            told = {name: secret.reveal() for name, secret in identity.items()}
            write_private(_identity_file(server), json.dumps(told))
        except BaseException:
            server.end(grace=0.0)
            shutil.rmtree(server.data, ignore_errors=True)
            raise
        return self._running(instance, server, launch, ports, fresh=True)

    def _run(self, server: ServerDirectory, home: Path) -> tuple[Launch, Mapping[str, int]]:
        _require(server)
        ports = self._ports(server)
        launch = server.spawn(home, ports)
        try:
            server.wait_ready(launch, ports, self._patience)
        except BaseException:
            server.end(grace=0.0)
            raise
        return launch, ports

    # ------------------------------------------------------------ pieces

    def _server(self, instance: InstanceId) -> ServerDirectory:
        return ServerDirectory(
            self._folder / instance, self._distribution, self._memory_limit, self._entropy
        )

    def _locked(self, server: ServerDirectory) -> AbstractContextManager[None]:
        return file_lock(private_dir(server.path) / "lock")

    def _ports(self, server: ServerDirectory) -> Mapping[str, int]:
        address = self._distribution.address
        return ports_of(server.path / "ports.json", self._fixed, self._entropy, address)

    def _identity(self, server: ServerDirectory) -> Mapping[str, Secret] | None:
        try:
            told = json.loads(_identity_file(server).read_text())
            return {name: Secret(value) for name, value in told.items()}
        except (FileNotFoundError, ValueError, AttributeError):
            return None

    def _running(
        self,
        instance: InstanceId,
        server: ServerDirectory,
        launch: Launch,
        ports: Mapping[str, int],
        *,
        fresh: bool = False,
    ) -> RunningInstance:
        access = self._distribution.access(ports, self._identity(server) or {})
        return RunningInstance(instance, access, launch.incarnation, fresh_data=fresh)

    def _set_aside(self, server: ServerDirectory) -> Path:
        numbers = [
            int(old.name.removeprefix(_BROKEN))
            for old in server.path.glob(f"{_BROKEN}*")
            if old.name.removeprefix(_BROKEN).isdecimal()
        ]
        aside = server.path / f"{_BROKEN}{max(numbers, default=0) + 1}"
        with storage(server.path):
            server.data.rename(aside)
        return aside

    def _keep_only(self, server: ServerDirectory, aside: Path) -> None:
        for old in server.path.glob(f"{_BROKEN}*"):
            if old != aside:
                shutil.rmtree(old)


def _require(server: ServerDirectory) -> None:
    """Raise `Unreachable` if the instance was removed while it was being started: it stays so."""
    if not server.path.is_dir():
        raise Unreachable(f"{server.path} was removed")


def _identity_file(server: ServerDirectory) -> Path:
    return server.data / "identity.json"
