"""`up` with what only a person can mend: one line, the code by contract, no service left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Home, new_home

UNPROVEN = '[sharing]\npolicy = "unproven"\n'


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made
        made.run("down")


def refused(home: Home, keycloak: str, code: int) -> str:
    """Run `up`, which must end by itself long before its patience; return its last line."""
    home.configure(f"{UNPROVEN}[keycloak]\n{keycloak}\n")
    done = home.run("up", "--wait", "10m")
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert home.run("leases").returncode == 69, "the service that it started is ended"
    return done.stderr.splitlines()[-1]


def test_a_wrong_digest_is_named_with_both_values(home: Home, tmp_path: Path) -> None:
    """An archive that is not the release is not unpacked; the line has both digests."""
    archive = tmp_path / "keycloak.tar.gz"
    archive.write_bytes(b"not the release")
    last = refused(home, f'archive = "{archive}"', 78)
    assert f"{archive} has SHA-256 " in last
    assert "expected 04823c336b797a7e" in last
    assert not list((home.path / "cache").glob("**/kc.sh"))


def test_offline_without_an_archive_says_what_to_give(home: Home) -> None:
    """`offline` downloads nothing, and the line says where an archive may be named."""
    assert "set keycloak.archive" in refused(home, "offline = true", 78)


def test_no_java_says_what_to_install(home: Home) -> None:
    """Without a Java the line names the package and the setting."""
    last = refused(home, 'java_home = "/nonexistent"\noffline = true', 78)
    assert "'/nonexistent' holds no Java" in last
    assert "openjdk-17-jre-headless" in last
