"""Fixtures for every kind of test."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from warminfra.ledger import Ledger


def pytest_configure() -> None:
    """Let the commands under test hear what the background ignores: Ctrl-C and, below `nohup`, the
    end of the terminal."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


@pytest.fixture(scope="session")
def migrated_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger with all migrations applied, to be copied."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Ledger.open(path).close()
    return path


@pytest.fixture
def ledger(migrated_ledger: Path, tmp_path: Path) -> Iterator[Ledger]:
    """A fresh ledger on a real SQLite file."""
    path = tmp_path / "ledger.db"
    shutil.copy(migrated_ledger, path)
    opened = Ledger.open(path)
    yield opened
    opened.close()


@pytest.fixture(autouse=True, scope="session")
def _quiet_log() -> None:
    """Keep expected warnings of simulated accidents out of the output."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


class ByServer(LoadScopeScheduling):
    """Keeps live tests that share a server on one worker: servers cost memory, engines are one.

    The groups are told by path: pytest-xdist's own marks are not seen by pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/live/"
        if not nodeid.startswith(folder):
            return nodeid
        for start, group in (("containers/", "engine"), ("test_audit", "prover")):
            if nodeid.startswith(folder + start):
                return group
        return "live"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServer:
    """Give the tests to the workers."""
    return ByServer(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With WARMINFRA_LIVE=required a live test that is skipped has failed."""
    report = yield
    required = os.environ.get("WARMINFRA_LIVE") == "required"
    if report.skipped and required and item.get_closest_marker("live"):
        report.outcome = "failed"
        report.longrepr = f"a live test was skipped where it is required: {report.longrepr}"
    return report
