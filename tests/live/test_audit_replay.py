"""A counterexample is shown again by whoever has the folder: on a fresh server, from its steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import isolation_checks
from isolation_checks.bundle import write
from isolation_checks.checks.artifacts import Artifacts
from isolation_checks.confirm import Counterexample
from isolation_checks.counterexample import CROSSES, files
from isolation_checks.events import Finding
from isolation_checks.steps import of_one_try
from isolation_checks.verdict import judge
from testbed.installation import Installation
from warminfra.core.audit import Cell

pytestmark = pytest.mark.live

ADMIN = Path(isolation_checks.__file__).parent / "recipes" / "admin"
FOLLOWED = "request uri at GET authorization, request uri of B, whose client has the same id"
"""What the stock server lets cross (keycloak#50135)."""
CELL = Cell("access token", "GET", "userinfo")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A bundle as an audit of class admin writes it, with that one finding, told by its check."""
    return _bundle(tmp_path, Finding("X2", Artifacts.name, FOLLOWED, "it answers", ("answered",)))


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    """A bundle whose finding, told in steps, is none."""
    steps = of_one_try(CELL, "master", "alive")
    witness = f"{CELL} of master"
    return _bundle(
        tmp_path, Finding("X1", "foreign credentials", witness, "it answers", ("answered",), steps)
    )


def _bundle(tmp_path: Path, finding: Finding) -> Path:
    verdict = {
        "id": "v-1", "outcome": "revert", "fingerprint": "f", "lease_class": "admin", "seed": 1,
        "profile": "smoke", "findings": [finding.name], "covered": [], "recipe": str(ADMIN),
        "fingerprint_parts": {},
    }  # fmt: skip
    named = frozenset({finding.name})
    outcome = judge([finding], planned=0, confirmed=named, accepted=frozenset())
    example = Counterexample(finding, finding.steps, ("answered",))
    examples = files([example], verdict, ADMIN)
    folder = tmp_path / "evidence"
    write(folder, verdict, {}, [finding], outcome, {}, examples=examples)
    return folder


def test_verify_and_the_script_show_it_again(live_cache: Path, evidence: Path) -> None:
    """`audit verify` ends with 0: it crosses again. The script alone ends with 1: it crosses."""
    with Installation.temporary() as installation:
        verified = installation.run("audit", "verify", str(evidence), timeout=300.0)
        assert "whose client has the same id crosses again" in verified.stdout
        script = subprocess.run(
            [sys.executable, str(evidence / "replay-1.py")],
            env=dict(installation.env), capture_output=True, text=True, timeout=300.0, check=False,
        )  # fmt: skip
        assert script.returncode == CROSSES, script.stderr
        assert script.stdout.startswith(f"it crosses: X2:{FOLLOWED}")


def test_what_does_not_cross_is_said(live_cache: Path, forged: Path) -> None:
    """A file whose steps show nothing: its digest is in order, yet verify does not agree."""
    with Installation.temporary() as installation:
        verified = installation.run("audit", "verify", str(forged), check=False, timeout=300.0)
    assert verified.returncode == 1
    assert "DOES NOT CROSS" in verified.stdout
