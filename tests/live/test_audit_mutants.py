"""Planted faults on a real server: some of each port, in plain and in stealth forms, are seen.

The whole catalogue is the self-test's; here is what would show that a port has no place for faults
any more, or that a check has gone blind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import isolation_checks
from isolation_checks.engine import CHECKS
from isolation_checks.events import PLAIN, Event
from isolation_checks.hunt import hunt
from isolation_checks.mutants.base import Mutant
from isolation_checks.mutants.catalogue import MUTANTS
from isolation_checks.mutants.foreign import load
from isolation_checks.plan import PROFILES
from isolation_checks.reports.kills import write_kills
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.selftest import KillTable
from isolation_checks.stealth import AFTER_CRASH, TWO_LIVE, USED_BEFORE
from isolation_checks.world import World
from testbed.installation import Installation
from warminfra.config import load as load_settings
from warminfra_keycloak import package

pytestmark = [
    pytest.mark.live,
    # A service that dies on purpose ends its worker's thread by SystemExit.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

RECIPE = Path(isolation_checks.__file__).parent / "recipes" / "user"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "mutant_default_password.py"
SMOKE = PROFILES["smoke"].channels
OURS = {mutant.id: mutant for mutant in MUTANTS}
DRAWN = [
    *(("M14", AFTER_CRASH), ("M11", USED_BEFORE), ("M12", TWO_LIVE)),
    *(("M36", PLAIN), ("M30", PLAIN), ("M31", PLAIN), ("M46", PLAIN), ("M49", PLAIN)),
    ("M53", PLAIN),
]


@pytest.fixture(scope="module")
def server(live_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """One scratch server for all of them."""
    settings = load_settings(
        {"service.cache_dir": str(live_cache)}, cwd=tmp_path_factory.mktemp("nowhere"), environ={}
    ).settings
    with scratch(settings, package, RECIPE, print) as one:
        yield one


@pytest.mark.parametrize(("number", "form"), DRAWN, ids=lambda part: str(part))
def test_a_planted_fault_is_seen(server: Scratch, number: str, form: str) -> None:
    """By a check of its channel; and afterwards the server is as it was."""
    _seen(server, OURS[number], form)


def test_somebody_elses_fault_is_planted_from_its_file(server: Scratch) -> None:
    """The example of the documentation is seen."""
    _seen(server, load(EXAMPLE), PLAIN)


def test_nothing_is_seen_where_nothing_is_planted(server: Scratch) -> None:
    """Every check that no smoke audit carries out finds nothing, once all faults are gone."""
    others = [one for one in CHECKS if one.channels and not SMOKE.intersection(one.channels)]
    for check in others:
        world = World(server, lambda _: None)
        check.run(world)
        assert world.found == [], check.name
        assert world.controls, check.name


def _seen(server: Scratch, mutant: Mutant, form: str) -> None:
    before = server.surface.inventory()
    told: list[Event] = []
    planted = hunt(server, mutant, CHECKS, told.append, form=form, seed=1)
    assert planted.killed_by, told
    assert planted.attempts
    assert server.surface.inventory() == before


def test_the_kill_table_is_written(server: Scratch, tmp_path: Path) -> None:
    """As Markdown and as JSON, with what was seen by what."""
    planted = hunt(server, OURS["M13"], CHECKS, lambda _: None)
    write_kills(tmp_path, KillTable("user", 1, (planted,), (), (), (), 1.0))
    told = json.loads((tmp_path / "kill-table.json").read_text())
    assert told["planted"][0]["killed_by"] == "keys and secrets"
    assert "| M13 " in (tmp_path / "kill-table.md").read_text()


def test_a_file_that_is_no_mutant_ends_the_command_at_once(tmp_path: Path) -> None:
    """Exit code 2 and one line, before a server is started."""
    file = tmp_path / "mine.py"
    file.write_text("")
    with Installation.temporary() as installation:
        done = installation.run("audit", "--mutant", str(file), check=False)
    assert done.returncode == 2
    assert "names no MUTANT" in done.stderr
