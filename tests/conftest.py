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

from warminfra.ledger import Ledger


def pytest_configure() -> None:
    """Let the commands under test hear Ctrl-C: a shell's job in the background ignores it."""
    for number in (signal.SIGINT, signal.SIGQUIT):
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


@pytest.hookimpl(tryfirst=True)  # before the workers read the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the live tests on one worker: they share servers, which cost memory.

    Those with containers are a group of their own: there is one engine.
    """
    for item in items:
        if item.get_closest_marker("live") and not item.get_closest_marker("xdist_group"):
            group = "engine" if item.path.parent.name == "containers" else "live"
            item.add_marker(pytest.mark.xdist_group(group))


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
