"""What this installation intends, owns and has promised: one SQLite file, one writer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from warminfra.ledger.database import Database
from warminfra.ledger.holds import Holds
from warminfra.ledger.instances import Instances
from warminfra.ledger.leases import Leases, NotTaken, StackTaken, Taken
from warminfra.ledger.past import forget
from warminfra.ledger.recipes import Recipes
from warminfra.ledger.sharing import Sharing
from warminfra.ledger.stacks import Stacks
from warminfra.ledger.tenants import Tenants
from warminfra.ledger.tickets import Tickets

__all__ = ["Ledger", "NotTaken", "StackTaken", "Taken"]


class Ledger:
    """The ledger, by noun. Open it with `Ledger.open`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.instances = Instances(database)
        self.recipes = Recipes(database)
        self.tenants = Tenants(database)
        self.leases = Leases(database)
        self.holds = Holds(database)
        self.sharing = Sharing(database)
        self.stacks = Stacks(database)
        self.tickets = Tickets(database)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open the file, making or migrating it as need be. Raises `StorageFull`."""
        database = Database(path)
        database.migrate()
        return cls(database)

    def forget(self, before: datetime) -> int:
        """Delete some of what ended before then; return how many tenants. Raises `StorageFull`."""
        return forget(self.database, before)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
