"""The gate, opened by evidence: audit, approve, share; revert, and it is shut."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from isolation_checks.plan import PROFILES
from testbed.installation import LASUITE_DOCS, Installation, wait_until
from tests.live.test_service_lease import give_back

pytestmark = pytest.mark.live

CONFIG = 'min_profile = "smoke"\n[pool]\nmin = 1\nmax = 1\n[instances]\nspares = 0\n'
LEASE = ("lease", "--recipe", LASUITE_DOCS.name, "--reveal", "-o", "json")


@pytest.fixture(scope="module")
def gated(live_cache: Path) -> Iterator[Installation]:
    """An installation under the default policy, which a smoke audit may open."""
    with Installation.temporary(policy="proven", config=CONFIG) as installation:
        installation.up()
        installation.enroll()
        yield installation


@pytest.fixture(scope="module")
def audited(gated: Installation) -> tuple[Path, dict[str, Any]]:
    """The evidence of an audit of the recipe, and its verdict."""
    folder = gated.folder / "evidence"
    done = gated.run(
        *("audit", "--recipe", LASUITE_DOCS.name, "--seed", "11", "--report", str(folder)),
        timeout=600.0,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "verdict.json").read_text())


def test_sharing_opens_with_evidence_and_a_reviewer(
    gated: Installation, audited: tuple[Path, dict[str, Any]]
) -> None:
    """Without approval the verdict opens nothing and each lease has a server of its own; with it
    leases are shared and name it."""
    _, verdict = audited
    own = json.loads(gated.run(*LEASE).stdout)
    assert own["mode"] == "dedicated"
    assert "waits for a reviewer" in own["mode_reason"]
    give_back(gated, own)
    gated.run("approve", verdict["id"], "--why", "read the report", "--by", "a reviewer")
    lease = json.loads(gated.run(*LEASE).stdout)
    assert (lease["mode"], lease["verdict"]) == ("shared", verdict["id"])
    give_back(gated, lease)


def test_a_revert_shuts_the_gate_at_once(
    gated: Installation, audited: tuple[Path, dict[str, Any]]
) -> None:
    """After a reviewer's revert no lease is shared, approved verdict or not, until it is lifted."""
    _, verdict = audited
    gated.run("approve", verdict["id"])
    gated.run("revert", "--why", "saw another run's user")
    own = json.loads(gated.run(*LEASE).stdout)
    assert own["mode"] == "dedicated"
    assert "saw another run's user" in own["mode_reason"]
    give_back(gated, own)
    gated.run("lift")
    give_back(gated, json.loads(gated.run(*LEASE).stdout))


def test_the_evidence_says_what_was_done(audited: tuple[Path, dict[str, Any]]) -> None:
    """Every claimed channel killed a planted fault in this audit; what is not covered is named."""
    folder, verdict = audited
    assert verdict["outcome"] == "approve"
    assert set(verdict["covered"]) == PROFILES["smoke"].channels
    assert set(verdict["covered"]) | set(verdict["not_covered"]) == {f"X{n}" for n in range(1, 17)}
    assert verdict["programs"] >= 12
    assert verdict["bound"] == pytest.approx(1 - 0.05 ** (1 / verdict["programs"]))
    report = (folder / "report.md").read_text()
    for heading in ("What was tried", "Can it see?", "How sure one may be", "What was not covered"):
        assert f"## {heading}" in report
    events = [json.loads(line) for line in (folder / "trace.ndjson").read_text().splitlines()]
    tried = [event for event in events if event["event"] == "Tried"]
    assert len({event["cell"] for event in tried}) > 150
    assert all(event["killed_by"] for event in events if event["event"] == "Planted")


def test_no_secret_is_in_the_evidence(audited: tuple[Path, dict[str, Any]]) -> None:
    """No token stands in any file of the bundle."""
    folder, _ = audited
    for file in folder.iterdir():
        assert "eyJ" not in file.read_text(), file.name


def test_changed_evidence_is_found_out(
    gated: Installation, audited: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """`audit verify` names the file that was changed after the fact."""
    folder, _ = audited
    gated.run("audit", "verify", str(folder))
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "report.md").write_text("# May runs share? approve\n")
    found = gated.run("audit", "verify", str(tmp_path), check=False)
    assert found.returncode == 1
    assert found.stderr.strip() == "warminfra: report.md was changed"


def test_a_killed_audit_leaves_nothing(gated: Installation) -> None:
    """Kill -9 of an audit: its scratch server and its folder are gone soon after."""
    place = gated.folder / "tmp"
    place.mkdir()
    run = gated.start(["audit"], stderr=subprocess.DEVNULL, env={"TMPDIR": str(place)})

    def servers() -> list[psutil.Process]:
        found = [one for one in psutil.process_iter() if one.pid != run.pid]
        return [one for one in found if f"{place}/" in _command(one) and "java" in _command(one)]

    try:
        wait_until(servers, 60.0, "the scratch server")
    finally:
        run.kill()
        run.wait()
    wait_until(lambda: not list(place.iterdir()), 30.0, "the removal of the scratch folder")
    assert servers() == []


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
