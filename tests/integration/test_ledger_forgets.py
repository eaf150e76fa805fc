"""What the ledger wipes stands in none of its files any more."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from warminfra.core.ids import InstanceId, TemplateHash, TenantId
from warminfra.core.models import TenantMaterial
from warminfra.ledger import Ledger
from warminfra.ledger.database import Database

SECRET = "a-secret-that-only-one-lease-knows"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _filled(folder: Path) -> Ledger:
    ledger = Ledger.open(folder / "ledger.db")
    ledger.instances.add(InstanceId("kc-1"), "keycloak", "warm", NOW)
    for number in range(5):
        tenant = TenantId(f"tenant-{number}")
        ledger.tenants.intend(
            tenant,
            instance=InstanceId("kc-1"),
            incarnation="1",
            recipe="app",
            template_hash=TemplateHash("hash"),
            material=TenantMaterial("id", f"{SECRET}-{number}", "object"),
            reserved_for="",
            uncertain_until=0.0,
            now=NOW,
        )
        ledger.tenants.retire(tenant, "over", NOW)
    return ledger


def _holding(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if SECRET.encode() in file.read_bytes()]


def test_the_secrets_of_a_tenant_that_is_gone_stand_in_no_file(tmp_path: Path) -> None:
    """Neither in the database nor in its log of writes, while the service goes on."""
    ledger = _filled(tmp_path)
    assert _holding(tmp_path)
    for number in range(5):
        ledger.tenants.gone(TenantId(f"tenant-{number}"), NOW)
    assert _holding(tmp_path) == []
    ledger.close()


def test_a_reader_puts_the_wiping_off_and_is_not_waited_for(tmp_path: Path) -> None:
    """A long look at the ledger delays nothing; the next tenant's end makes up for it."""
    ledger = _filled(tmp_path)
    reading, done = threading.Event(), threading.Event()

    def look() -> None:
        with ledger.database.read() as tx:
            tx.exec_driver_sql("SELECT count(*) FROM tenants").scalar()
            reading.set()
            done.wait(20)

    reader = threading.Thread(target=look)
    reader.start()
    reading.wait(20)
    assert ledger.tenants.gone(TenantId("tenant-0"), NOW)
    done.set()
    reader.join()
    for number in range(1, 5):
        ledger.tenants.gone(TenantId(f"tenant-{number}"), NOW)
    assert _holding(tmp_path) == []
    ledger.close()


def test_a_reader_delays_forgetting_and_does_not_keep_it_from_happening(
    migrated_ledger: Path, tmp_path: Path
) -> None:
    """The log is empty once the reader is through, without another call."""
    path = tmp_path / "ledger.db"
    shutil.copy(migrated_ledger, path)
    database = Database(path)
    reads, may_end = threading.Event(), threading.Event()

    def reader() -> None:
        with database.read() as tx:
            tx.execute(text("SELECT count(*) FROM tenants")).all()
            reads.set()
            may_end.wait(10.0)

    thread = threading.Thread(target=reader)
    thread.start()
    assert reads.wait(10.0)
    with database.write() as tx:
        tx.execute(text("INSERT INTO templates (hash, document) VALUES ('h', 'a secret')"))
    timer = threading.Timer(0.15, may_end.set)
    timer.start()
    database.forget()
    thread.join()
    timer.join()
    assert (tmp_path / "ledger.db-wal").stat().st_size == 0
    database.close()
