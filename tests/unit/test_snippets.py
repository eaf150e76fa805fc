"""What `doctor --print` prints is of the form that it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipelines import CI_VARIABLES, KEY, steps
from warminfra.cli.commands import COMMANDS
from warminfra.cli.snippet import Snippet, snippet

DEPLOY = Path(__file__).parents[2] / "deploy" / "snippets"


@pytest.mark.parametrize("kind", Snippet)
def test_each_is_there_and_in_deploy(kind: Snippet) -> None:
    """The package brings each; deploy/ shows the same files."""
    text = snippet(kind)
    assert "@program@" not in text
    assert "warminfra" in text
    first_lines = {file.read_text().splitlines()[0] for file in DEPLOY.iterdir()}
    assert text.splitlines()[0] in first_lines


@pytest.mark.parametrize("kind", CI_VARIABLES)
def test_a_ci_s_snippet_has_steps_that_call_what_there_is(kind: str) -> None:
    """YAML of the CI's own form; each step calls commands that exist; one runs after a failure."""
    found = steps(kind, snippet(Snippet(kind)))
    verbs = {command.first_word for command in COMMANDS}
    for step in found:
        called = re.findall(r"^warminfra (\S+)", step.script, re.MULTILINE)
        assert set(called) <= verbs
    assert "release --run" in found[-1].script
    assert found[-1].always
    assert found[-1].environment["WARMINFRA_KEY"] == KEY


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    unit = tmp_path / "warminfra.service"
    unit.write_text(snippet(Snippet.SYSTEMD))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    ours = [line for line in ran.stderr.splitlines() if "warminfra" in line]
    assert (ran.returncode, ours) == (0, []), ran.stderr


@pytest.mark.skipif(not shutil.which("nix-instantiate"), reason="nix-instantiate is not installed")
def test_nix_parses_the_module(tmp_path: Path) -> None:
    """`nix-instantiate --parse` reads it."""
    module = tmp_path / "warminfra.nix"
    module.write_text(snippet(Snippet.NIX))
    ran = subprocess.run(
        ["nix-instantiate", "--parse", str(module)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert "systemd" in ran.stdout
