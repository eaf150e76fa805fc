"""What the launcher promises of instances, on a small server: adopt, replace, keep, end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fake_distribution import FakeDistribution
from warminfra.core.errors import ConfigInvalid, Conflict, StorageFull, Unreachable
from warminfra.core.ids import InstallationId, InstanceId
from warminfra.core.models import ProcessRef
from warminfra.instances import addresses, server
from warminfra.instances.local import LocalLauncher
from warminfra.instances.processes import SystemProcesses, holders, process_ref

INSTANCE = InstanceId("kc-one")

Make = Callable[..., LocalLauncher]


def silent(_: str) -> None:
    """Take a line of progress and drop it."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The instance's directory."""
    return tmp_path / "state" / "instances" / INSTANCE


@pytest.fixture
def make(tmp_path: Path, place: Path) -> Iterator[Make]:
    """Make launchers of one installation; whatever they started is ended."""

    def launcher(distribution: FakeDistribution | None = None, **more: int) -> LocalLauncher:
        return LocalLauncher(
            distribution or FakeDistribution(),
            installation=InstallationId("abcdefgh"),
            state_dir=tmp_path / "state",
            cache_dir=tmp_path / "cache",
            start_patience=20.0,
            **more,
        )

    yield launcher
    launcher().stop(INSTANCE, discard=True)
    assert not place.exists()


def pid_of(place: Path) -> int:
    return int(json.loads((place / "process.json").read_text())["process"][0])


def kill(launcher: LocalLauncher, place: Path) -> None:
    """Kill the server as the kernel would, and wait until it is gone."""
    ref = process_ref(pid_of(place))
    assert ref is not None
    os.kill(ref.pid, signal.SIGKILL)
    os.waitpid(ref.pid, 0)


def test_first_start_has_fresh_data_and_an_identity(make: Make, place: Path) -> None:
    """A first start says that its data is new; nobody else can read what lies there."""
    running = make().start(INSTANCE, silent)
    assert running.fresh_data
    assert running.access.identity["maker_id"].reveal() == "abcdefgh-maker"
    assert stat.S_IMODE((place / "data" / "identity.json").stat().st_mode) == 0o600
    for folder in (place, place.parent, place / "data"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_snapshot_is_made_once_and_rehearsed(make: Make, tmp_path: Path, place: Path) -> None:
    """The expensive first start happens once for a configuration; `prepare` again is cheap. What a
    rehearsal left is kept, and nothing of it is in the snapshot."""
    lines: list[str] = []
    launcher = make()
    launcher.prepare(lines.append)
    launcher.prepare(lines.append)
    assert [line.split()[0] for line in lines] == ["pre-initialising", "rehearsing"]
    (snapshot,) = (tmp_path / "cache" / "snapshots").glob("fake-*")
    assert {path.name for path in snapshot.iterdir()} >= {"data", "bootstrap"}
    assert not list(snapshot.rglob("recorded"))
    assert not (snapshot / "rehearsal").exists()
    assert (tmp_path / "cache" / "home" / "recorded").exists()
    assert stat.S_IMODE((snapshot / "bootstrap").stat().st_mode) == 0o600
    launcher.start(INSTANCE, silent)
    assert (place / "data" / "made").read_text() == "schema\n"


def test_another_service_adopts_the_same_process(make: Make) -> None:
    """A server that runs is taken over by the next service as it is: same process, same life."""
    first = make().start(INSTANCE, silent)
    second = make()
    adopted = second.adopt(INSTANCE)
    assert adopted == replace(first, fresh_data=False)
    assert second.start(INSTANCE, silent) == adopted
    assert second.alive(first)


def test_nothing_to_adopt(make: Make) -> None:
    """Without a process there is nothing to adopt, and nothing to stop."""
    assert make().adopt(INSTANCE) is None
    make().stop(INSTANCE, discard=False)


def test_changed_configuration_is_not_adopted(make: Make, place: Path) -> None:
    """A server with other options than today's is started anew on its own data."""
    before = make().start(INSTANCE, silent)
    launcher = make(FakeDistribution(option="changed"))
    old = pid_of(place)
    assert launcher.adopt(INSTANCE) is None
    after = launcher.start(INSTANCE, silent)
    assert process_ref(old) is None
    assert (after.fresh_data, after.access) == (False, before.access)
    assert after.incarnation != before.incarnation


def test_killed_server_keeps_data_address_and_identity(make: Make, place: Path) -> None:
    """After kill -9 the instance comes back on its data, at its address, as another life."""
    launcher = make()
    before = launcher.start(INSTANCE, silent)
    (place / "data" / "tenant").touch()
    kill(launcher, place)
    assert not launcher.alive(before)
    assert launcher.adopt(INSTANCE) is None
    after = launcher.start(INSTANCE, silent)
    assert (place / "data" / "tenant").exists()
    assert (after.fresh_data, after.access) == (False, before.access)
    assert launcher.alive(after)
    assert not launcher.alive(before)


def test_start_right_after_a_kill(make: Make, place: Path) -> None:
    """A start in the very moment of the server's death neither fails nor loses its data."""
    launcher = make()
    before = launcher.start(INSTANCE, silent)
    for _ in range(10):
        os.kill(pid_of(place), signal.SIGKILL)
        after = launcher.start(INSTANCE, silent)
        assert (after.fresh_data, after.access) == (False, before.access)
        assert launcher.alive(after)


def test_reused_process_number_is_never_touched(make: Make, place: Path) -> None:
    """A record that names a number which somebody else has by now neither adopts nor kills."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    kill(launcher, place)
    record = json.loads((place / "process.json").read_text())
    record["process"] = [os.getpid(), record["process"][1]]
    (place / "process.json").write_text(json.dumps(record))
    assert launcher.adopt(INSTANCE) is None
    launcher.stop(INSTANCE, discard=False)
    assert not launcher.start(INSTANCE, silent).fresh_data


def test_server_without_a_record_is_found(make: Make, place: Path) -> None:
    """A server that nobody wrote down is found by what it has open, and ended, not doubled."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    stray = pid_of(place)
    (place / "process.json").unlink()
    after = launcher.start(INSTANCE, silent)
    assert process_ref(stray) is None
    assert launcher.alive(after)
    assert [ref.pid for ref in holders(place / "process.lock")] == [pid_of(place)]


@pytest.mark.parametrize("name", ["http", "management"])
def test_port_taken_by_somebody_else(make: Make, place: Path, name: str) -> None:
    """A port that is taken is named with its process; the data stays as it was."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    launcher.stop(INSTANCE, discard=False)
    port = json.loads((place / "ports.json").read_text())[name]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Conflict, match=f"port {port} .*pid {os.getpid()}"),
    ):
        launcher.start(INSTANCE, silent)
    assert not list(place.glob("data.broken-*"))
    assert not launcher.start(INSTANCE, silent).fresh_data


def test_fixed_ports_are_used(make: Make, place: Path) -> None:
    """Configured ports are the ones that it listens on, and they win over those chosen before."""
    make().start(INSTANCE, silent)
    chosen = json.loads((place / "ports.json").read_text())
    http = next(port for port in range(20_000, 32_000) if addresses.free(port))
    running = make(http_port=http).start(INSTANCE, silent)
    assert running.access.base_url == f"http://127.0.0.1:{http}"
    assert json.loads((place / "ports.json").read_text()) == {**chosen, "http": http}


def test_broken_data_is_set_aside(make: Make, place: Path) -> None:
    """Data that does not open twice is replaced, told as fresh, and kept: the newest only."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    for number in (1, 2):
        launcher.stop(INSTANCE, discard=False)
        (place / "data" / "broken").touch()
        lines: list[str] = []
        assert launcher.start(INSTANCE, lines.append).fresh_data
        assert [old.name for old in place.glob("data.broken-*")] == [f"data.broken-{number}"]
        assert sum("data is broken" in line for line in lines) == 2


class Impostor(FakeDistribution):
    """One on whose port another server answers, once ours has ended."""

    def healthy(self, ports: Mapping[str, int]) -> bool:
        ended = "data is broken" in self.log.read_text() and not holders(self.lock)
        return ended or super().healthy(ports)

    log: Path
    lock: Path


def test_another_servers_answer_is_not_ours(make: Make, place: Path) -> None:
    """A server that ended has not started, whoever answers on its port."""
    launcher = make(impostor := Impostor())
    impostor.log, impostor.lock = place / "server.log", place / "process.lock"
    make().start(INSTANCE, silent)
    launcher.stop(INSTANCE, discard=False)
    (place / "data" / "broken").touch()
    assert launcher.start(INSTANCE, silent).fresh_data


def test_data_is_put_back_if_the_fault_is_elsewhere(
    make: Make, place: Path, tmp_path: Path
) -> None:
    """If the copy does not start either, the data was not to blame and is there again."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    launcher.stop(INSTANCE, discard=False)
    (place / "data" / "broken").touch()
    (snapshot,) = (tmp_path / "cache" / "snapshots").glob("fake-*")
    (snapshot / "data" / "broken").touch()
    with pytest.raises(Unreachable, match="data is broken"):
        launcher.start(INSTANCE, silent)
    assert (place / "data" / "identity.json").exists()
    assert not list(place.glob("data.broken-*"))


def test_an_instance_removed_while_it_starts_stays_removed(make: Make, place: Path) -> None:
    """Whoever discards the files of an instance need not fear that a start brings them back."""

    def removed(line: str) -> None:
        if "starting" in line:
            shutil.rmtree(place)

    make().start(INSTANCE, silent)
    make().stop(INSTANCE, discard=False)
    with pytest.raises(Unreachable, match="was removed"):
        make().start(INSTANCE, removed)
    assert not place.exists()


def test_failed_take_over_begins_anew(make: Make, place: Path) -> None:
    """A take-over that fails leaves no server and no data; the next start has a new copy."""

    def fail() -> None:
        raise Unreachable("cut")

    with pytest.raises(Unreachable, match="cut"):
        make(FakeDistribution(on_take_over=fail)).start(INSTANCE, silent)
    assert not (place / "data").exists()
    assert holders(place / "process.lock") == []
    assert make().start(INSTANCE, silent).fresh_data


def test_data_that_does_not_know_us_is_replaced(make: Make, place: Path) -> None:
    """Its server ends, the next start has fresh data and new identities; the newest old is kept."""
    launcher = make()
    before = launcher.start(INSTANCE, silent)
    for number in (1, 2):
        launcher.renounce(INSTANCE)
        assert holders(place / "process.lock") == []
        assert launcher.adopt(INSTANCE) is None
        after = launcher.start(INSTANCE, silent)
        assert after.fresh_data
        assert after.access.identity["maker_secret"] != before.access.identity["maker_secret"]
        assert [old.name for old in place.glob("data.broken-*")] == [f"data.broken-{number}"]
        before = after


def test_server_that_never_starts_is_a_configuration_fault(make: Make) -> None:
    """A server that does not even start on empty data is told with its own words."""
    distribution = FakeDistribution()
    command = distribution.command

    def failing(*args: object) -> tuple[list[str], dict[str, str]]:
        argv, environment = command(*args)  # type: ignore[arg-type]
        return [argv[0], "-c", "print('ERROR no such option'); exit(2)"], dict(environment)

    distribution.command = failing  # type: ignore[method-assign,assignment]
    with pytest.raises(ConfigInvalid, match="no such option"):
        make(distribution).prepare(silent)


def test_stubborn_server_is_killed(
    make: Make, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not end when asked is killed after the grace."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    launcher.stop(INSTANCE, discard=False)
    (place / "data" / "stubborn").touch()
    running = launcher.start(INSTANCE, silent)
    monkeypatch.setattr("warminfra.instances.local.STOP_GRACE", 0.2)
    launcher.stop(INSTANCE, discard=False)
    assert not launcher.alive(running)


def test_full_disk_stops_a_start_and_keeps_the_data(
    make: Make, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk nothing is started, and data is not taken for broken."""
    launcher = make()
    launcher.start(INSTANCE, silent)
    launcher.stop(INSTANCE, discard=False)

    def full(place: Path) -> None:
        raise StorageFull(f"{place}: 0 MiB free")

    with monkeypatch.context() as patch:
        patch.setattr(server, "require_space", full)
        with pytest.raises(StorageFull):
            launcher.start(INSTANCE, silent)
    assert not launcher.start(INSTANCE, silent).fresh_data


def test_memory_limit_is_the_process_limit(make: Make, place: Path) -> None:
    """The configured memory limit binds the server, by the kernel."""
    make(memory_limit=700 << 20).start(INSTANCE, silent)
    limits = Path(f"/proc/{pid_of(place)}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max data size")]
    assert line.split()[3:5] == [str(700 << 20)] * 2


def test_zombies_and_reused_numbers_are_dead() -> None:
    """A process that has ended counts as dead, reaped or not, and so does another of its number."""
    look = SystemProcesses()
    me = process_ref(os.getpid())
    assert me is not None
    assert look.alive(me)
    assert not look.alive(ProcessRef(me.pid, me.start + 1))
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert process_ref(child) is None
    os.waitpid(child, 0)
    assert process_ref(child) is None
