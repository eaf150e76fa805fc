"""The pytest plugin, in a pytest of its own: what tests get, and when leases come and go."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from tests.command import Home
from tests.fake_service import (
    CLIENT_SECRET,
    HANDLE,
    LEASE,
    PASSWORD,
    FakeService,
    document,
    problem,
)

ACQUIRE = ("POST", "/v1/leases")
RENEW = ("POST", f"/v1/leases/{LEASE}/renew")
RELEASE = ("DELETE", f"/v1/leases/{LEASE}")
QUIET = ("-q", "-p", "no:cacheprovider", "-W", "error")


def start(
    home: Home, source: str, *options: str, extra: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start pytest on one test file."""
    (home.path / "test_it.py").write_text(textwrap.dedent(source))
    pytest_on = (sys.executable, "-m", "pytest", *QUIET)
    return home.start(
        *options, "test_it.py", extra=extra, program=pytest_on, stderr=subprocess.STDOUT
    )


def run(
    home: Home, source: str, *options: str, extra: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run pytest on one test file; return its exit code and all that it said."""
    process = start(home, source, *options, extra=extra)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


TWO = """
    import pytest

    pytestmark = pytest.mark.warminfra_recipe("docs", domain="docs.example")

    def test_a_user(warminfra_lease, warminfra_user):
        assert (warminfra_user.username, warminfra_user.roles) == ("alice", ("editor",))
        assert warminfra_user.password
        assert warminfra_lease.client["id"] == warminfra_lease.env["OIDC_RP_CLIENT_ID"]

    def test_the_same_lease(warminfra_lease, warminfra_leases):
        assert warminfra_leases("docs", domain="docs.example") is warminfra_lease
"""


def test_a_session_has_one_lease(home: Home, service: FakeService) -> None:
    """All tests of a recipe share it: bound to the session, released once at its end."""
    code, said = run(home, TWO, "--strict-markers")
    assert code == 0, said
    ((*_, wish, _),) = service.asked(*ACQUIRE)
    assert (wish["recipe"], wish["domain"], wish["bind"]) == ("docs", "docs.example", True)
    assert wish["run"].startswith("pytest-")
    assert [handle for *_, handle in service.asked(*RELEASE)] == [HANDLE]


def test_a_worker_has_a_lease_of_its_own(home: Home, service: FakeService) -> None:
    """Under xdist the slot is the worker's id, and all workers are one run."""
    code, said = run(home, TWO, "-n", "2", "--dist", "each")
    assert code == 0, said
    wishes = [wish for *_, wish, _ in service.asked(*ACQUIRE)]
    assert sorted(wish["slot"] for wish in wishes) == ["gw0", "gw1"]
    assert len({wish["run"] for wish in wishes}) == 1
    assert len({wish["key"] for wish in wishes}) == 2
    assert len(service.asked(*RELEASE)) == 2


def test_the_recipe_may_be_configured(home: Home, service: FakeService) -> None:
    """Without a marker the recipe of pytest's configuration counts, then WARMINFRA_RECIPE."""
    source = "def test_it(warminfra_lease): pass"
    code, said = run(
        home, source, "-o", "warminfra_recipe=docs", "-o", "warminfra_domain=d.example"
    )
    assert code == 0, said
    extra = {"WARMINFRA_RECIPE": "docs", "WARMINFRA_RUN": "7", "WARMINFRA_KEY": "k" * 16}
    assert run(home, source, extra=extra)[0] == 0
    first, second = [wish for *_, wish, _ in service.asked(*ACQUIRE)]
    assert (first["recipe"], first["domain"]) == ("docs", "d.example")
    assert (second["recipe"], second["run"], second["run_key"]) == ("docs", "7", "k" * 16)


@pytest.mark.parametrize(
    "ending",
    ["assert False", "raise KeyboardInterrupt", "import pytest; pytest.exit('enough')", "exit(3)"],
)
def test_the_lease_is_released_however_the_session_ends(
    home: Home, service: FakeService, ending: str
) -> None:
    """A failure, Ctrl-C and an exit all end in the release."""
    code, said = run(
        home, f"def test_it(warminfra_lease):\n    {ending}", "-o", "warminfra_recipe=docs"
    )
    assert code != 0
    assert len(service.asked(*RELEASE)) == 1, said


def test_no_secret_is_shown_by_a_failed_assertion(home: Home, service: FakeService) -> None:
    """Representations of lease and user hold no secret; pytest shows them when a test fails."""
    source = """
        def test_it(warminfra_lease, warminfra_user):
            assert (warminfra_lease, warminfra_user) == None
    """
    code, said = run(home, source, "-o", "warminfra_recipe=docs", "-vv", "--showlocals")
    assert code == 1
    assert LEASE in said
    assert not any(secret in said for secret in (HANDLE, CLIENT_SECRET, PASSWORD))


def test_the_lease_is_renewed_while_tests_run(home: Home, service: FakeService) -> None:
    """A session that is longer than the lease's ttl keeps it."""
    service.script[ACQUIRE] = [(201, document(ttl_s=0.2))]
    source = "def test_it(warminfra_lease):\n    import time; time.sleep(60)"
    process = start(home, source, "-o", "warminfra_recipe=docs")
    service.wait_for(*RENEW, count=3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert service.asked(*RELEASE)


def test_a_lost_lease_fails_the_tests_that_follow(home: Home, service: FakeService) -> None:
    """In one line with the reason; nothing is leased anew behind the tests' back."""
    service.script[ACQUIRE] = [(201, document(ttl_s=0.2))]
    service.script[RENEW] = [problem(410, "lease_lost", "its tenant was lost")]
    source = """
        import time

        def test_before(warminfra_lease):
            time.sleep(1.0)

        def test_after(warminfra_lease):
            pass
    """
    code, said = run(home, source, "-o", "warminfra_recipe=docs")
    assert code == 1
    assert f"lease {LEASE} is lost: its tenant was lost" in said
    assert "1 passed, 1 error" in said
    assert len(service.asked(*ACQUIRE)) == 1


def test_trouble_is_one_line(home: Home) -> None:
    """No service, or no recipe: each test that asks says so, without a traceback."""
    source = "def test_it(warminfra_lease): pass\ndef test_other(): pass"
    code, said = run(home, source, "-o", "warminfra_recipe=docs")
    assert code == 1
    assert "warminfra up" in said
    assert "1 passed, 1 error" in said
    assert "Traceback" not in said
    assert "no warminfra recipe: mark the test" in run(home, source)[1]


def test_below_exec_its_lease_is_used(home: Home, service: FakeService) -> None:
    """Nothing is leased a second time, and what `exec` leased is left to it."""
    (home.path / "test_it.py").write_text(
        "import os\n"
        "def test_it(warminfra_lease):\n"
        "    assert warminfra_lease.id == os.environ['WARMINFRA_LEASE_ID']\n"
    )
    ran = home.run(
        "exec", "--recipe", "docs", "--", sys.executable, "-m", "pytest", *QUIET, "test_it.py"
    )
    assert ran.returncode == 0, ran.stdout
    assert len(service.asked(*ACQUIRE)) == 1
    assert len(service.asked(*RELEASE)) == 1


def test_nothing_happens_where_no_test_asks(home: Home, service: FakeService) -> None:
    """No request, and no module of ours but the plugin itself: no test pays for what it has not."""
    source = """
        import sys

        def test_it():
            assert sorted(name for name in sys.modules if name.startswith("warminfra")) == [
                "warminfra", "warminfra.pytest_plugin"
            ]
            assert not {"httpx", "sqlalchemy", "typer", "fastapi"} & set(sys.modules)
    """
    code, said = run(home, source)
    assert code == 0, said
    assert not service.requests


def test_the_plugin_can_be_left_out(home: Home) -> None:
    """`-p no:warminfra` takes it away, fixtures and all."""
    assert (
        "fixture 'warminfra_lease' not found"
        in run(home, "def test_it(warminfra_lease): pass", "-p", "no:warminfra")[1]
    )
