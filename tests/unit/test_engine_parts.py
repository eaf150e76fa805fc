"""What is known of an engine without asking one."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from warminfra.core.errors import (
    ConfigInvalid,
    Conflict,
    EngineRefused,
    NotFound,
    StorageFull,
    Unreachable,
)
from warminfra.engine.connection import connect, refused
from warminfra.engine.images import layer_sizes
from warminfra.engine.pause import NAME, pause_archive, pause_program


def test_the_pause_program_waits(tmp_path: Path) -> None:
    """It runs by itself, of a file of a few hundred bytes, until it is killed."""
    file = tmp_path / NAME
    file.write_bytes(pause_program("linux/amd64"))
    file.chmod(0o755)
    process = subprocess.Popen([file])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.kill()
    process.wait()
    assert file.stat().st_size < 300


def test_the_archive_holds_it_ready_to_run() -> None:
    """One entry, at the root, executable."""
    with tarfile.open(fileobj=io.BytesIO(pause_archive("linux/arm64"))) as archive:
        (entry,) = archive.getmembers()
    assert (entry.name, entry.mode) == (NAME, 0o555)
    with pytest.raises(EngineRefused, match=r"linux/amd64"):
        pause_program("linux/mips")


@pytest.mark.parametrize(
    ("status", "told", "error"),
    [
        (404, "no such image", NotFound),
        (409, "in use", Conflict),
        (500, "write /x: no space left on device", StorageFull),
        (503, "This node is not a swarm manager", Unreachable),
        (400, "bad parameter", EngineRefused),
    ],
)
def test_an_engine_s_refusal_becomes_ours(status: int, told: str, error: type) -> None:
    """Each with its exit code."""
    assert type(refused("x", status, told)) is error


@pytest.mark.parametrize("host", ["tcp://[::1", "tcp://node:99999", "tcp://node:x", "tcp://node"])
def test_a_malformed_address_of_the_engine_is_told_by_its_value(host: str) -> None:
    """One that docker-py does not take is a fault of the configuration, wherever it is set."""
    with pytest.raises(ConfigInvalid, match=re.escape(repr(host))) as caught:
        connect(host)
    assert "DOCKER_HOST" in caught.value.hint


def test_bytes_of_layers_come_from_the_history() -> None:
    """Steps that made no layer are passed over, those that made an empty one are not."""
    history = [
        {"Size": 0, "CreatedBy": 'CMD ["nginx"]'},
        {"Size": 7, "CreatedBy": "COPY a /a"},
        {"Size": 0, "CreatedBy": "WORKDIR /app"},
        {"Size": 0, "CreatedBy": "ENV A=1"},
        {"Size": 90, "CreatedBy": "ADD rootfs /"},
    ]
    assert layer_sizes(history, 3) == (90, 0, 7)
