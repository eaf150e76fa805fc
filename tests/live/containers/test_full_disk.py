"""A disk of the engine that is really full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
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
def small_engine(tmp_path: Path, engine: Engine) -> Iterator[DockerImages]:
    """A second engine, without a network, whose images lie on a disk of 48 MiB."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(data)], check=True)
    socket = tmp_path / "docker.sock"
    command = (
        "/usr/sbin/dockerd", "--host", f"unix://{socket}", "--data-root", str(data),
        "--exec-root", str(tmp_path / "exec"), "--pidfile", str(tmp_path / "docker.pid"),
        "--config-file", str(tmp_path / "daemon.json"), "--bridge", "none", "--iptables=false",
    )  # fmt: skip
    (tmp_path / "daemon.json").write_text("{}")
    server = Server("small-dockerd", tmp_path, command, socket.exists)
    server.start()
    images = DockerImages(f"unix://{socket}")
    try:
        yield images
    finally:
        images.close()
        server.stop()
        subprocess.run(["umount", "--recursive", "--lazy", str(data)], check=True)


def test_a_disk_that_fills_up_in_the_middle_of_a_pull(
    engine: Engine, registry: Registry, gate: Gate, small_engine: DockerImages, tmp_path: Path
) -> None:
    """The engine's own "no space left" is told as such at once; what was here stays whole, and
    with room the next call does the rest."""
    good = make(engine, registry, "fits-well", "1.0.0")
    bomb = make_zeros(engine, registry, "unpacks-large", "1.0.0", 100 * MIB)
    client = Client(small_engine.facts(), Credentials(), tmp_path / "manifests")
    puller = PrePull(small_engine, client, Store(tmp_path / "state"))
    try:
        lock = resolve("app", wanted(good), client, None)
        puller.run("app", lock, deadline=60.0)
        both = resolve("app", wanted(good, bomb), client, None)
        with pytest.raises(StorageFull, match="no space left"):
            puller.run("app", both, deadline=60.0)
        here = {name for image in small_engine.images() for name in image.digests}
        assert lock.images[0].bound.pinned in here
        assert len(small_engine.containers()) == 1
        subprocess.run(["mount", "-o", "remount,size=400m", str(tmp_path / "data")], check=True)
        assert len(puller.run("app", both, deadline=60.0)) == 1
    finally:
        client.close()
        for container in small_engine.containers():
            small_engine.unpin(container.id)
