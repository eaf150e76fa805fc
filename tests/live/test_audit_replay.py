"""A counterexample is shown again by whoever has the folder: on a fresh server, from its steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import isolation_checks
from isolation_checks.bundle import write
from isolation_checks.confirm import Counterexample
from isolation_checks.counterexample import files
from isolation_checks.events import Finding
from isolation_checks.steps import of_one_try
from isolation_checks.verdict import judge
from testbed.installation import Installation
from warminfra.core.audit import Cell

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("prover")]

ADMIN = Path(isolation_checks.__file__).parent / "recipes" / "admin"
CELL = Cell("admin token", "GET", "admin/serverinfo", server_wide=True)
"""The stock server tells the admin of any realm of itself, and more than of its own tenant."""


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A bundle as an audit of class admin writes it, with that one finding."""
    witness = f"{CELL} of the server"
    steps = of_one_try(CELL, "the server", "alive")
    finding = Finding("X13", "foreign credentials", witness, "it answers", ("answered",), steps)
    verdict = {
        "id": "v-1", "outcome": "revert", "fingerprint": "f", "lease_class": "admin", "seed": 1,
        "profile": "smoke", "findings": [finding.name], "covered": [], "recipe": str(ADMIN),
        "fingerprint_parts": {},
    }  # fmt: skip
    named = frozenset({finding.name})
    outcome = judge([finding], planned=0, confirmed=named, accepted=frozenset())
    example = Counterexample(finding, steps, ("answered",))
    examples = files([example], verdict, ADMIN)
    folder = tmp_path / "evidence"
    write(folder, verdict, {}, [finding], outcome, {}, examples=examples)
    return folder


def test_verify_and_the_script_show_it_again(live_cache: Path, evidence: Path) -> None:
    """`audit verify` ends with 0: it crosses again. The script alone ends with 1: it crosses."""
    with Installation.temporary() as installation:
        verified = installation.run("audit", "verify", str(evidence), timeout=300.0)
        assert "admin/serverinfo of the server crosses again" in verified.stdout
        script = subprocess.run(
            [sys.executable, str(evidence / "replay-1.py")],
            env=dict(installation.env), capture_output=True, text=True, timeout=300.0, check=False,
        )  # fmt: skip
        assert script.returncode == 1, script.stderr
        assert script.stdout.startswith("it crosses: X13:")


def test_what_does_not_cross_is_said(live_cache: Path, evidence: Path) -> None:
    """A file whose steps show nothing: its digest is in order, yet verify does not agree."""
    file = evidence / "counterexample-1.json"
    document = json.loads(file.read_text())
    for step in document["steps"]:
        if "cell" in step:
            step["cell"] = {"kind": "access token", "verb": "GET", "endpoint": "userinfo"}
            step["where"] = "master"
    file.write_text(json.dumps(document))
    sums = evidence / "SHA256SUMS"
    done = subprocess.run(
        ["sha256sum", file.name], cwd=evidence, capture_output=True, text=True, check=True
    )
    lines = [one for one in sums.read_text().splitlines() if not one.endswith(file.name)]
    sums.write_text("\n".join([*lines, done.stdout.strip()]) + "\n")
    with Installation.temporary() as installation:
        verified = installation.run("audit", "verify", str(evidence), check=False, timeout=300.0)
    assert verified.returncode == 1
    assert "DOES NOT CROSS" in verified.stdout
