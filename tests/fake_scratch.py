"""A scratch installation without a server, that leaks what it is told to: for tests of the prover.

A credential is worth something at its own lease while that lives, and nothing elsewhere, but for
`leaks`: each says of (credential's lease, place, when) whether it works there as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from isolation_checks import scratch as installation
from isolation_checks.scratch import Scratch
from warminfra.core.audit import Cell, Credential, Reply, Row
from warminfra.core.entropy import SECRET_LENGTH, SystemEntropy
from warminfra.core.models import TenantFacts
from warminfra.core.secret import Secret

READ = Cell("access token", "GET", "userinfo")
REDEEM = Cell("code", "POST", "token")
LIST = Cell("access token", "GET", "admin/realms", server_wide=True)
CELLS = (READ, REDEEM, LIST)


class _Provider:
    """As much of a provider as a fault can spoil here."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_tenant(self, plan: Any) -> TenantFacts:
        return TenantFacts(f"http://fake/realms/wi-{self._name}", {})


Leak = Callable[["FakeScratch", Credential, str], bool]


@dataclass
class _Wire:
    calmed: int = 0

    def calm(self) -> None:
        self.calmed += 1

    def lose_the_next(self) -> None:
        """No reply gets lost here."""

    def slow_down(self, seconds: float) -> None:
        """Nothing is slow here."""


@dataclass
class _Clock:
    ahead: float = 0.0

    def jump(self, seconds: float) -> None:
        self.ahead += seconds


@dataclass
class FakeScratch:
    """Leases are numbers; it is its own surface and manager."""

    leak: Leak = lambda *_: False
    taken: int = 0
    living: set[str] = field(default_factory=set)
    restarts: int = 0
    deaths: int = 0
    changes: dict[str, int] = field(default_factory=dict)
    wire: _Wire = field(default_factory=_Wire)
    clock: _Clock = field(default_factory=_Clock)
    plant: Any = field(default_factory=installation.Plant)
    surface: Any = None
    minted: dict[str, int] = field(default_factory=dict)
    secret: str = ""
    """What every lease has for a secret, if they share one."""
    lent: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.surface = self.surface or self

    @property
    def manager(self) -> Any:
        return self

    def as_scratch(self) -> Scratch:
        return cast(Scratch, self)

    # ------------------------------------------------------------ the installation

    def lease(self) -> dict[str, Any]:
        self.taken += 1
        self.living.add(str(self.taken))
        name = str(self.taken)
        token = SystemEntropy().token
        lease = {
            "id": name,
            "tenant": f"wi-{name}",
            "issuer": self.plant.mutate(_Provider(name)).create_tenant(None).issuer,
            "handle": token(SECRET_LENGTH),
            "users": [{"username": "u", "password": token(SECRET_LENGTH)}],
            "client": {"id": f"app-{name}", "secret": self.secret or token(SECRET_LENGTH)},
        }
        self.lent.append(lease)
        return lease

    def rows(self) -> list[Row]:
        return [Row("KEY", (), frozenset({f"key of {name}"})) for name in self.living]

    def instance_of(self, lease: Any) -> str:
        return "kc-fake"

    def release(self, *leases: Any) -> None:
        for lease in leases:
            self.living.discard(lease if isinstance(lease, str) else lease["id"])
            if isinstance(lease, str):
                return

    def abandon(self) -> None:
        self.living.clear()

    def kill_provider(self) -> None:
        self.restarts += 1

    def kill_service(self) -> None:
        self.deaths += 1

    # ------------------------------------------------------------ the surface

    def known(self, lease: Any) -> Any:
        return lease

    def browser(self) -> Any:
        return self

    def sign_in(self, lease: Any) -> dict[str, str]:
        return {}

    def fresh(self, lease: Any) -> Any:
        return {**lease, "users": [{"username": "fresh", "password": "p"}]}

    def inventory(self) -> dict[str, frozenset[str]]:
        return {"realm": frozenset({"a", "b", "c", *(f"wi-{name}" for name in self.living)})}

    def keys(self, lease: Any) -> frozenset[str]:
        return frozenset({f"key of {lease['id']}"})

    def mint(self, lease: Any) -> Sequence[Credential]:
        self.minted[lease["id"]] = self.minted.get(lease["id"], 0) + 1
        return [
            Credential("access token", lease["id"], Secret("token")),
            Credential("code", lease["id"], Secret("code"), one_shot=True),
        ]

    def again(self, credential: Credential, lease: Any) -> Credential:
        return credential

    def never_valid(self, credential: Credential) -> Credential:
        return Credential(credential.kind, credential.tenant, Secret("forged"))

    def known_cells(self) -> list[Cell]:
        return list(CELLS)

    def cells(self, kind: str) -> list[Cell]:
        return [cell for cell in CELLS if cell.kind == kind]

    def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
        place = target["id"] if target else "master"
        if credential.value.reveal() == "forged":
            return Reply(401, "no")
        own = place == credential.tenant and place in self.living
        if own or self.leak(self, credential, place):
            return Reply(200, "yes", frozenset({f"wi-{credential.tenant}"}))
        return Reply(401, "no")

    def inside(self, lease: Any) -> str:
        return self.digest(lease)

    def digest(self, lease: Any) -> str:
        name = lease["id"]
        text = f"{name} {self.changes.get(name, 0)} {self.minted.get(name, 0)}"
        return hashlib.sha256(text.encode()).hexdigest()
