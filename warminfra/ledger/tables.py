"""The tables of the ledger. Portable SQL; the migrations make exactly these (a test compares).

Times of the boot clock are seconds (`Float`), wall times aware UTC datetimes. Secrets of a tenant
live in `tenants.material` until the tenant is gone and are wiped with that move.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, kept as seconds since the epoch: portable, sortable, no time zone lost."""

    impl = Float
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


instances = Table(
    "instances",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("provider", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("incarnation", String(64), nullable=False, default=""),
    Column("made", Integer, nullable=False, default=0),
    Column("note", Text, nullable=False, default=""),
    Column("created_at", UtcTime, nullable=False),
)

templates = Table(
    "templates",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

recipes = Table(
    "recipes",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("path", Text, nullable=False),
    Column("template_hash", String(64), ForeignKey("templates.hash"), nullable=False),
    Column("env", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("pool_min", Integer, nullable=False),
    Column("pool_max", Integer, nullable=False),
    Column("enrolled_at", UtcTime, nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("instance", String(40), ForeignKey("instances.id"), nullable=False),
    Column("recipe", String(200), nullable=False),
    Column("template_hash", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("incarnation", String(64), nullable=False, default=""),
    Column("material", Text, nullable=True),
    Column("facts", Text, nullable=True),
    Column("reserved_for", String(64), nullable=False, default=""),
    Column("uncertain_until", Float, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt", Float, nullable=False, default=0.0),
    Column("reason", Text, nullable=False, default=""),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("made_ms", Float, nullable=False, default=0.0),
)
Index(
    "ix_tenants_pick",
    tenants.c.state,
    tenants.c.template_hash,
    tenants.c.reserved_for.desc(),
    tenants.c.changed_at,
)
Index("ix_tenants_instance_state", tenants.c.instance, tenants.c.state)

leases = Table(
    "leases",
    metadata,
    Column("id", String(40), ForeignKey("tenants.id"), primary_key=True),
    Column("recipe", String(200), nullable=False),
    Column("run", String(200), nullable=False, default=""),
    Column("slot", String(200), nullable=False, default=""),
    Column("state", String(20), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("mode_reason", Text, nullable=False),
    Column("verdict", String(40), nullable=True),
    Column("key_hash", String(64), nullable=False),
    Column("domain", Text, nullable=False, default=""),
    Column("ttl", Float, nullable=False),
    Column("deadline", Float, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("bound_pid", Integer, nullable=True),
    Column("bound_start", Integer, nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Column("end_reason", Text, nullable=False, default=""),
    Column("run_key", String(64), nullable=False, default=""),
    Column("held_until", UtcTime, nullable=True),
    Column("held_memory", BigInteger, nullable=False, default=0),
)
Index("ix_leases_run", leases.c.run)
Index(
    "uq_leases_key_hash",
    leases.c.key_hash,
    unique=True,
    sqlite_where=text("key_hash <> ''"),
    postgresql_where=text("key_hash <> ''"),
)
Index("ix_leases_state", leases.c.state)

tickets = Table(
    "tickets",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("recipe", String(200), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("entered_at", UtcTime, nullable=False),
)

stacks = Table(
    "stacks",
    metadata,
    Column("lease", String(40), ForeignKey("leases.id"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt", Float, nullable=False, default=0.0),
    Column("reason", Text, nullable=False, default=""),
)
Index(
    "uq_stacks_name",
    stacks.c.name,
    unique=True,
    sqlite_where=text("state <> 'gone'"),
    postgresql_where=text("state <> 'gone'"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("profile", String(20), nullable=False),
    Column("lease_class", String(20), nullable=False),
    Column("fingerprint", String(80), nullable=False),
    Column("features", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

words = Table(
    "words",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("subject", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("said_at", UtcTime, nullable=False),
    Column("lifted_at", UtcTime, nullable=True),
)
