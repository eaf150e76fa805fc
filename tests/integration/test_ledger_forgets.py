"""What the ledger wipes stands in none of its files any more."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from warminfra.core.ids import InstanceId, TemplateHash, TenantId
from warminfra.core.models import TenantMaterial
from warminfra.core.states import InstanceKind, TenantState
from warminfra.ledger import Ledger
from warminfra.ledger.database import Database

SECRET = "a-secret-that-only-one-lease-knows"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _filled(folder: Path) -> Ledger:
    ledger = Ledger.open(folder / "ledger.db")
    ledger.instances.add(InstanceId("kc-1"), "keycloak", InstanceKind.WARM, NOW)
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


def _state(ledger: Ledger, tenant: str) -> TenantState | None:
    found = ledger.tenants.get(TenantId(tenant))
    return found.state if found else None


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


def test_at_the_moment_a_tenant_is_gone_its_secrets_are(tmp_path: Path) -> None:
    """Whoever sees it gone finds nothing any more, however early the look."""
    ledger = _filled(tmp_path)
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            if all(_state(ledger, f"tenant-{n}") is TenantState.GONE for n in range(5)):
                found.extend(_holding(tmp_path))
                return

    looking = threading.Thread(target=look)
    looking.start()
    assert ledger.tenants.gone_with(InstanceId("kc-1"), NOW)
    looking.join(20)
    over.set()
    assert found == []
    ledger.close()


def test_nothing_is_called_gone_whose_secrets_still_stand_there(tmp_path: Path) -> None:
    """A long look at the ledger puts a tenant's end off; the next try makes up for it."""
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
    assert not ledger.tenants.gone(TenantId("tenant-0"), NOW)
    assert _state(ledger, "tenant-0") is TenantState.RETIRING
    done.set()
    reader.join()
    for number in range(5):
        assert ledger.tenants.gone(TenantId(f"tenant-{number}"), NOW)
    assert _state(ledger, "tenant-0") is TenantState.GONE
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
