"""Bad input at the real service: one line with value and remedy, the code, nothing half done."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from testbed.installation import LASUITE_DOCS, Installation

pytestmark = pytest.mark.live

BROKEN = """
[sso]
provider = "keycloack"
env_preset = "djnago-lasuite"
colour = "red"
[[sso.users]]
username = 7
"""


def refused(installation: Installation, code: int, *arguments: str) -> str:
    """Run a command that must be refused with `code` and one line; return the line."""
    before = installation.tenants()
    done = installation.run(*arguments, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    after = installation.tenants()
    assert after["leased"] == before["leased"]
    return line


def test_a_recipe_that_is_not_there(warm: Installation) -> None:
    """An unknown recipe is 66, and the nearest known name is offered."""
    line = refused(warm, 66, "lease", "--recipe", "lasuite-dosc", "--reveal")
    assert "'lasuite-dosc'" in line
    assert "did you mean lasuite-docs?" in line


def test_all_faults_of_a_recipe_at_once(warm: Installation, tmp_path: Path) -> None:
    """Every fault of a broken recipe is one line with file, line and key; nothing is enrolled."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "warminfra.toml").write_text(BROKEN)
    done = warm.run("enroll", "broken", str(folder), check=False)
    assert done.returncode == 65
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 4, lines
    for key, at in (("provider", 3), ("env_preset", 4), ("colour", 5), ("username", 7)):
        assert any(f"warminfra.toml:{at}" in line and key in line for line in lines), (key, lines)
    assert [row["name"] for row in warm.json("recipes")["recipes"]] == ["lasuite-docs"]


def test_a_folder_without_a_recipe(warm: Installation, tmp_path: Path) -> None:
    """A path that holds no recipe is 66 and named."""
    assert str(tmp_path) in refused(warm, 66, "enroll", "nothing", str(tmp_path))


def test_a_ttl_over_the_maximum(warm: Installation) -> None:
    """The line names value and maximum, and the setting that raises it."""
    line = refused(warm, 2, "lease", "--recipe", "lasuite-docs", "--ttl", "7h", "--reveal")
    assert "25200 s" in line
    assert "leases.max_ttl" in line


def test_a_lease_that_never_was(warm: Installation) -> None:
    """A lease id of nobody is refused; whether the lease exists is not told without its handle."""
    done = warm.run("show", "abcdefgh-nobody", env={"WARMINFRA_LEASE_HANDLE": "x"}, check=False)
    assert done.returncode == 77, done.stderr


def test_a_second_service_on_the_same_state(warm: Installation) -> None:
    """It ends with 79 and names the first; the first is not disturbed."""
    pid = warm.service_pid()
    done = warm.run("serve", check=False)
    assert done.returncode == 79, done.stderr
    assert str(pid) in done.stderr
    assert warm.service_pid() == pid
    assert warm.json("status")["pid"] == pid


def test_where_neither_sharing_nor_a_server_of_ones_own_is_possible(live_cache: Path) -> None:
    """Without a verdict and without the memory a lease is refused (77) with both reasons."""
    small = '[instances]\nmemory = "100MiB"\n'
    with Installation.temporary(policy="proven", config=small) as installation:
        installation.up()
        installation.enroll()
        line = refused(installation, 77, "lease", "--recipe", "lasuite-docs", "--reveal")
        assert "no audit has approved class user" in line
        assert "768 MiB, and all instances may have 100 MiB" in line
        assert installation.tenants()["ready"] == 0
        assert refused(installation, 77, "lease", "--recipe", "lasuite-docs", "--reveal") == line


def test_the_repository_under_test_cannot_set_the_policy(warm: Installation) -> None:
    """`[sharing]` in ./warminfra.toml is an error (78): tested code opens no gate."""
    file = warm.folder / "warminfra.toml"
    file.write_text('[sharing]\npolicy = "unproven"\n')
    try:
        done = warm.run("config", "show", check=False)
    finally:
        file.unlink()
    assert done.returncode == 78, done.stderr
    assert "sharing" in done.stderr


def test_a_port_that_is_taken(live_cache: Path) -> None:
    """`up` ends with 79, names port and process, and leaves no service and no server behind."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Installation.temporary(config=f"[keycloak]\nhttp_port = {port}\n") as installation:
            done = installation.run("up", check=False)
            assert done.returncode == 79, done.stderr
            last = done.stderr.splitlines()[-1]
            assert f"port {port} (http)" in last
            assert f"(pid {os.getpid()})" in last
            assert installation.service_pid() is None
            assert installation.keycloak_pids() == []


def test_no_service(tmp_path: Path) -> None:
    """Without a service a lease is 69 and says what starts one."""
    with Installation.temporary() as installation:
        done = installation.run("lease", "--recipe", "lasuite-docs", "--reveal", check=False)
        assert done.returncode == 69
        assert "warminfra up" in done.stderr
        command = ["warminfra", "exec", "--recipe", LASUITE_DOCS.name, "--", "true"]
        ran = subprocess.run(command, env=installation.env, cwd=tmp_path, capture_output=True)
        assert ran.returncode == 125
