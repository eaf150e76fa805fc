"""Values that cross a layer: frozen, typed, without behaviour that touches the outside.

Boot times are seconds of `Clock.boot`, wall times aware UTC datetimes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from warminfra.core.ids import InstallationId, InstanceId, TemplateHash, TenantId, VerdictId
from warminfra.core.secret import Secret
from warminfra.core.states import (
    InstanceKind,
    InstanceState,
    LeaseState,
    StackState,
    TenantState,
)
from warminfra.core.template import Template

# ---------------------------------------------------------------- what a tenant is made of


@dataclass(frozen=True, slots=True)
class LeasedUser:
    """One user of a tenant, with the password that only its lease knows."""

    username: str
    password: str
    email: str
    first_name: str
    last_name: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantMaterial:
    """The secrets and ids drawn for one tenant. Kept in the ledger until the tenant is gone."""

    client_id: str
    client_secret: str
    client_object: str
    """The client's internal id at the provider, chosen by us, so that one call personalises it."""
    users: tuple[LeasedUser, ...] = ()
    admin_client_id: str = ""
    admin_client_secret: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def __repr__(self) -> str:
        return f"TenantMaterial(client_id={self.client_id!r}, …)"


def material_from_json(text: str) -> TenantMaterial:
    """Rebuild the material from `TenantMaterial.to_json`."""
    data = json.loads(text)
    users = tuple(LeasedUser(**{**user, "roles": tuple(user["roles"])}) for user in data["users"])
    return TenantMaterial(**{**data, "users": users})


@dataclass(frozen=True, slots=True)
class TenantRef:
    """What names a tenant at its provider: the internal id is the truth, the name a hint."""

    id: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """All that a provider needs to make one tenant."""

    ref: TenantRef
    installation: InstallationId
    template: Template
    material: TenantMaterial
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What the provider tells of a tenant that it made."""

    issuer: str
    endpoints: Mapping[str, str]
    """discovery, authorization, token, userinfo, jwks, end_session, introspection."""
    admin_url: str = ""


@dataclass(frozen=True, slots=True)
class FoundTenant:
    """A tenant of this installation that the provider lists."""

    ref: TenantRef


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """How to reach one server and as whom: the service's least-privileged identities."""

    base_url: str
    """The service's own way to it."""
    identity: Mapping[str, Secret]
    public_url: str = ""
    """What everybody else, and the server itself, calls it; "" if that is the base URL."""
    ca_file: Path | None = None
    """The CA of its certificate; None if the system's store has it."""

    @property
    def url(self) -> str:
        """What everybody calls it."""
        return self.public_url or self.base_url


@dataclass(frozen=True, slots=True)
class RunningInstance:
    """A started server. `incarnation` changes with every start of its process."""

    id: InstanceId
    access: ServerAccess
    incarnation: str
    fresh_data: bool = False
    """Its data came new from the snapshot: it holds no tenants."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's server can do, and how long it may take to make up its mind."""

    transaction_timeout: float
    """Seconds after which a call without an answer can no longer take effect."""
    isolates_tenants: bool = True


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process, safe against reuse of its number: `start` is its start time in clock ticks."""

    pid: int
    start: int


# ---------------------------------------------------------------- rows of the ledger


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of `instances`."""

    id: InstanceId
    provider: str
    kind: InstanceKind
    state: InstanceState
    incarnation: str
    made: int
    """Tenants made on it so far; it is replaced after so many."""
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Recipe:
    """A row of `recipes`: an enrolled recipe."""

    name: str
    path: str
    template_hash: TemplateHash
    env: Mapping[str, str]
    """Name → pattern over the lease document's fields, preset included."""
    secrets: Mapping[str, str]
    pool_min: int
    pool_max: int
    enrolled_at: datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """A row of `tenants`."""

    id: TenantId
    instance: InstanceId
    recipe: str
    template_hash: TemplateHash
    state: TenantState
    incarnation: str
    """Incarnation of the server that was told to create it."""
    material: TenantMaterial | None
    facts: TenantFacts | None
    reserved_for: str
    uncertain_until: float
    """Boot time before which a missing object proves nothing (its create may be under way)."""
    attempts: int
    """Failed attempts of its teardown."""
    next_attempt: float
    reason: str
    """Why it is being retired."""
    created_at: datetime
    changed_at: datetime
    made_ms: float


@dataclass(frozen=True, slots=True)
class Lease:
    """A row of `leases`; `id` is its tenant's id."""

    id: TenantId
    recipe: str
    run: str
    slot: str
    state: LeaseState
    mode: str
    mode_reason: str
    verdict: VerdictId | None
    key_hash: str
    domain: str
    ttl: float
    """Seconds that each renewal adds."""
    deadline: float
    """Boot time."""
    expires_at: datetime
    """The same moment in wall time, for people and for a reboot."""
    boot_id: str
    bound_to: ProcessRef | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str
    run_key: str = ""
    """Digest of the key that ends the whole run."""
    held_until: datetime | None = None
    """Until then it is kept for a look, whether its holder lives or not."""
    held_memory: int = 0
    """Bytes that the hold counts for."""

    def is_held(self, now: datetime) -> bool:
        """Say whether it is kept for a look at that time."""
        return self.held_until is not None and self.held_until > now


@dataclass(frozen=True, slots=True)
class OwnedStack:
    """A row of `stacks`: a Swarm stack that ends with its lease."""

    lease: TenantId
    name: str
    state: StackState
    since: datetime
    """What carries the name and is older than this belongs to somebody else."""
    attempts: int
    next_attempt: float
    reason: str
    """What its removal waits for, or why it failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row of `verdicts`: how one audit ended."""

    id: VerdictId
    outcome: str
    """approve, revert or inconclusive."""
    profile: str
    lease_class: str
    fingerprint: str
    features: frozenset[str]
    findings: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Word:
    """A row of `words`: what a reviewer said (approve, revert), or what the service saw (alarm)."""

    id: int
    kind: str
    subject: str
    """approve: a verdict's id; revert: "" (everything); alarm: what was looked at."""
    by: str
    why: str
    said_at: datetime
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SharingFacts:
    """All that the ledger knows which decides the mode, read in one transaction."""

    verdicts: tuple[Verdict, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Which mode, and why, in words for people."""

    mode: str
    """shared, dedicated."""
    reason: str
    verdict: VerdictId | None = None

    @property
    def kind(self) -> InstanceKind:
        """The kind of instance that serves the mode."""
        return InstanceKind.WARM if self.mode == "shared" else InstanceKind.DEDICATED


# ---------------------------------------------------------------- requests and answers


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a client asks for. Key, run and slot name the request and are repeated with it."""

    recipe: str
    key: str
    run: str = ""
    slot: str = ""
    ttl: float = 0.0
    """Seconds; 0 takes the configured default."""
    domain: str = ""
    bound_to: ProcessRef | None = None
    run_key: str = ""
    """What ends all of the run's leases; empty: `key` does."""
    stack: str = ""
    """Name of a Swarm stack that is to end with the lease."""
    secret_versions: Mapping[str, str] = field(default_factory=dict)
    """Version of each Swarm secret of the stack, as the app's environment names it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """No lease yet: ask again with the same key after `retry_after` seconds."""

    reason: str
    place: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease, its tenant and its recipe; `timing` in milliseconds by step."""

    lease: Lease
    tenant: Tenant
    recipe: Recipe
    handle: Secret
    timing: Mapping[str, float] = field(default_factory=dict)
    fresh: bool = False
    """Whether it was taken for this very request: nobody has it yet."""


JsonObject = dict[str, Any]
