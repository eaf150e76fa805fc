"""Opens the ledger's database and runs its transactions.

One process writes; within it writers queue on a lock, so that no thread ever meets a busy
database, and each transaction begins as a writer (`BEGIN IMMEDIATE`). Commits are synchronous: what
was acknowledged survives a power cut.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from warminfra.core.errors import ConfigInvalid, StorageFull, WarminfraError

MIGRATIONS = Path(__file__).parent / "migrations"
_PATIENCE = 30
"""Seconds that a connection waits for another's lock."""
_STORAGE_FAULTS = ("disk is full", "readonly", "disk I/O error", "unable to open")
_DAMAGE = ("not a database", "malformed")


class Database:
    """An engine with the rules above. `path` is the SQLite file, made with mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
        except OSError as error:
            raise StorageFull(
                f"cannot write the ledger {path}: {error.strerror}",
                hint="free space or set service.state_dir to a writable folder",
            ) from None
        self.engine = _engine(path)

    def migrate(self) -> None:
        """Bring the tables to this version's shape."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        with self._storage_faults():
            command.upgrade(config, "head")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one writing transaction; a storage fault becomes `StorageFull`."""
        with self._writer, self._storage_faults(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run one reading transaction; readers never wait for the writer (WAL)."""
        with (
            self._storage_faults(),
            self.engine.connect().execution_options(reading=True) as connection,
            connection.begin(),
        ):
            yield connection

    def forget(self) -> bool:
        """Let what was overwritten or deleted stand in no file any more; say whether that is so.

        Empties the log of writes into the database. A reader may keep that from being done: then it
        is tried some times more, writers let through in between.
        """
        return any(self._emptied() for _ in range(_FORGET_TRIES))

    def _emptied(self) -> bool:
        with self._writer, self._storage_faults(), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None  # noqa: S101 - a connection that is open
            raw.execute("PRAGMA busy_timeout=100")
            try:
                (busy, *_) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000}")
        return not busy

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _storage_faults(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            cause = str(error.orig)
            if isinstance(error.orig, WarminfraError):
                raise
            if any(fault in cause for fault in _STORAGE_FAULTS):
                raise StorageFull(
                    f"the ledger {self.path} cannot be written: {cause}",
                    hint="free disk space; nothing was changed, and releases are tried again",
                ) from None
            if any(fault in cause for fault in _DAMAGE):
                raise ConfigInvalid(
                    f"the ledger {self.path} is damaged: {cause}",
                    hint="restore it, or move it and its -wal away: the next service takes in the "
                    "servers that it finds, and ends what lies on them after leases.grace",
                ) from None
            raise


_FORGET_TRIES = 10
"""Of 100 ms at most, each."""
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": _PATIENCE, "check_same_thread": False},
        pool_size=8,
        hide_parameters=True,  # an error is logged, and a tenant's secrets are among them
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        # secure_delete: what is wiped, the secrets of a tenant that is gone, is overwritten.
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
