"""The example of docs/pytest.md runs, and leaves nothing behind, killed sessions included."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.installation import Installation, wait_until

pytestmark = pytest.mark.live

DOCUMENT = Path(__file__).parents[2] / "docs" / "pytest.md"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def session(warm: Installation, source: str, *options: str) -> subprocess.Popen[str]:
    """Start pytest on a test file in the installation's folder."""
    (warm.folder / "test_it.py").write_text(source)
    return subprocess.Popen(
        [*PYTEST, *options, "test_it.py"],
        cwd=warm.folder,
        env=dict(warm.env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def no_lease(warm: Installation) -> bool:
    with warm.client() as client:
        return not client.leases()


def test_the_example_of_the_documentation_runs(warm: Installation) -> None:
    """As it stands there, in one process and in two workers; afterwards no lease is active."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for options in ([], ["-n", "2", "--dist", "each"]):
        with session(warm, example, *options) as process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert no_lease(warm)


def test_a_killed_session_s_lease_ends_at_once(warm: Installation) -> None:
    """kill -9 of pytest: the lease ends within a second or so, not at its ttl."""
    waiting = "def test_it(warminfra_lease):\n    print('there', flush=True); input()\n"
    with session(warm, waiting, "-s", "-o", "warminfra_recipe=lasuite-docs") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "there" in line:
                break
        assert not no_lease(warm)
        process.kill()
        process.communicate(timeout=30)
    took = wait_until(lambda: no_lease(warm), 10.0, "the end of a killed session's lease")
    assert took < 3.0, took
