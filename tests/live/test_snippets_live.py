"""The CI snippets that `doctor --print` prints work: their commands run, as their CI runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.installation import Installation
from tests.pipelines import CI_VARIABLES, KEY, Ran, run

pytestmark = pytest.mark.live

TESTS = """#!/bin/sh
set -eu
python -c 'import os, urllib.request as u; u.urlopen(os.environ["OIDC_OP_JWKS_ENDPOINT"]).read()'
printf %s "$OIDC_RP_CLIENT_SECRET" > secret
printf %s "$WARMINFRA_RUN" > run
exit {code}
"""


@pytest.fixture
def workspace(tmp_path: Path, warm: Installation) -> Iterator[Path]:
    """A checkout; whatever was held of its run is released afterwards."""
    yield tmp_path
    if (tmp_path / "run").exists():
        run_id = (tmp_path / "run").read_text()
        warm.run("release", "--run", run_id, "--held", "--wait", env={"WARMINFRA_KEY": KEY})


def pipeline(warm: Installation, kind: str, workspace: Path, code: int) -> Ran:
    """Run the snippet of `kind` on tests that end with `code`."""
    tests = workspace / "run-tests.sh"
    tests.write_text(TESTS.format(code=code))
    tests.chmod(0o755)
    return run(kind, warm.run("doctor", "--print", kind).stdout, workspace, warm.env)


def active(warm: Installation) -> list[dict[str, str]]:
    found: list[dict[str, str]] = warm.json("leases")["leases"]
    return found


@pytest.mark.parametrize("kind", CI_VARIABLES)
def test_a_pipeline_that_passes_leaves_nothing(
    warm: Installation, workspace: Path, kind: str
) -> None:
    """The tests have their lease; afterwards none is active, and no secret is in the log."""
    ran = pipeline(warm, kind, workspace, 0)
    assert ran.code == 0, ran.log
    assert active(warm) == []
    secret = (workspace / "secret").read_text()
    shown = [line for line in ran.log.splitlines() if not line.startswith("::add-mask::")]
    assert not any(secret in line or KEY in line for line in shown)
    assert (f"::add-mask::{secret}" in ran.log) == (kind == "github")


@pytest.mark.parametrize("kind", CI_VARIABLES)
def test_a_pipeline_that_fails_keeps_its_tenant_if_it_says_so(
    warm: Installation, workspace: Path, kind: str
) -> None:
    """The code is the tests'; what `exec --on-failure` holds outlives the clean-up step."""
    ran = pipeline(warm, kind, workspace, 7)
    assert ran.code == 7, ran.log
    held = [row for row in active(warm) if row["held_until"]]
    assert len(active(warm)) == len(held) == (0 if kind == "github" else 1)
