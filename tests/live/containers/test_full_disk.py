"""A disk of the engine that is really full."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.registry import Registry
from testbed.servers import Server
from tests.live.containers.small_images import make, make_zeros, wanted
from warminfra.core.errors import StorageFull
from warminfra.engine.images import DockerImages
from warminfra.images.credentials import Credentials
from warminfra.images.holding import Store
from warminfra.images.pull import PrePull
from warminfra.images.registry import Registry as Client
from warminfra.images.resolve import resolve

pytestmark = pytest.mark.live

MIB = 1 << 20


@pytest.fixture
def small_engine(engine: Engine) -> Iterator[tuple[DockerImages, Path]]:
    """A second engine, and the disk of 48 MiB that its images lie on.

    It keeps the bridge that the first one uses: an engine told to have none takes it away.
    """
    # A short path: the name of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="wi-") as name, ExitStack() as last:
        folder = Path(name)
        data, socket = folder / "data", folder / "docker.sock"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(data)], check=True)
        last.callback(subprocess.run, ["umount", "--recursive", "--lazy", str(data)], check=True)
        (folder / "daemon.json").write_text("{}")
        command = (
            "/usr/sbin/dockerd", "--host", f"unix://{socket}", "--data-root", str(data),
            "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "docker.pid"),
            "--config-file", str(folder / "daemon.json"), "--iptables=false",
        )  # fmt: skip

        def answers() -> bool:
            version = ("docker", "--host", f"unix://{socket}", "version")
            return subprocess.run(version, capture_output=True, check=False).returncode == 0

        server = Server("small-dockerd", folder, command, answers)
        last.callback(server.stop)
        server.start()
        images = DockerImages(f"unix://{socket}")
        last.callback(images.close)
        yield images, data


def test_a_disk_that_fills_up_in_the_middle_of_a_pull(
    engine: Engine,
    registry: Registry,
    gate: Gate,
    small_engine: tuple[DockerImages, Path],
    tmp_path: Path,
) -> None:
    """The engine's own "no space left" is told as such at once; what was here stays whole, and
    with room the next call does the rest."""
    small, disk = small_engine
    good = make(engine, registry, "fits-well", "1.0.0")
    bomb = make_zeros(engine, registry, "unpacks-large", "1.0.0", 100 * MIB)
    client = Client(small.facts(), Credentials(), tmp_path / "manifests")
    puller = PrePull(small, client, Store(tmp_path / "state"))
    try:
        lock = resolve("app", wanted(good), client, None)
        puller.run("app", lock, deadline=60.0)
        both = resolve("app", wanted(good, bomb), client, None)
        with pytest.raises(StorageFull, match="no space left"):
            puller.run("app", both, deadline=60.0)
        here = {name for image in small.images() for name in image.digests}
        assert lock.images[0].bound.pinned in here
        assert len(small.containers()) == 1
        subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)
        assert len(puller.run("app", both, deadline=60.0)) == 1
    finally:
        client.close()
        for container in small.containers():
            small.unpin(container.id)
