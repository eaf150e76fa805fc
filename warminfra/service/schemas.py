"""Bodies of the HTTP API. Unknown fields are refused; answers are in `docs/openapi.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


_STACK = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_STACK_OR_NONE = rf"^({_STACK})?$"


class LeaseBody(_Body):
    """A wish for a lease. The same `key`, `run` and `slot` always mean the same lease."""

    recipe: str = Field(min_length=1, max_length=200)
    key: str = Field(min_length=16, max_length=200, description="random for each request")
    run: str = Field("", max_length=200)
    slot: str = Field("", max_length=200)
    ttl_s: float = Field(0, ge=0, description="seconds; 0 takes the default")
    domain: str = Field("", max_length=253, pattern=r"^[A-Za-z0-9._:\[\]-]*$")
    bind: bool = Field(False, description="end the lease when the calling process dies")
    bind_pid: int = Field(
        0, ge=0, description="end the lease when this process of the same user dies"
    )
    run_key: str = Field(
        "",
        max_length=200,
        pattern="^(.{16,})?$",
        description="ends all leases of the run; empty: `key` does",
    )
    stack: str = Field(
        "", pattern=_STACK_OR_NONE, description="Swarm stack, not there yet, that ends with it"
    )
    secret_versions: dict[str, str] = Field(
        {}, description="version of each Swarm secret of the stack; v1 if not named"
    )


class WithdrawBody(_Body):
    """A request whose client waits no more."""

    key: str = Field(min_length=16, max_length=200)
    run: str = Field("", max_length=200)
    slot: str = Field("", max_length=200)


class RenewBody(_Body):
    """A heartbeat."""

    ttl_s: float = Field(0, ge=0, description="seconds from now; 0 keeps the lease's own")


class HoldBody(_Body):
    """A look at what a run left."""

    for_s: float = Field(gt=0, description="seconds from now")


class RunBody(_Body):
    """A run that is over. `key` is the one that its leases were taken with."""

    run: str = Field(min_length=1, max_length=200)
    key: str = Field(min_length=16, max_length=200)
    held: bool = Field(False, description="end those that are held, too")


class DomainBody(_Body):
    """The domain of the run."""

    domain: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:\[\]-]+$")


class StackBody(_Body):
    """A Swarm stack that is to end with the lease."""

    name: str = Field(pattern=rf"^{_STACK}$")


class EnrollBody(_Body):
    """A recipe's folder on this machine, and its pool."""

    path: str
    pool_min: int | None = Field(None, ge=0)
    pool_max: int | None = Field(None, ge=0)


class RetryBody(_Body):
    """One tenant, or all in quarantine."""

    id: str | None = None


class WordBody(_Body):
    """A reviewer's word."""

    by: str = Field(min_length=1, max_length=200)
    why: str = Field("", max_length=2000)


class VerdictBody(BaseModel):
    """How an audit ended: the fields of `verdict.json` that the gate reads; others are let be."""

    id: str = Field(min_length=4, max_length=40)
    outcome: Literal["approve", "revert", "inconclusive"]
    profile: Literal["smoke", "standard", "soak"]
    lease_class: Literal["user", "admin"]
    fingerprint: str = Field(min_length=64, max_length=64)
    features: list[str]
    findings: list[str]


class ShutdownBody(_Body):
    """How far down."""

    instances: bool = False
    purge: bool = False
