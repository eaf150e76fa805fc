"""Bodies of the HTTP API. Unknown fields are refused; answers are in `docs/openapi.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


_STACK = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_STACK_OR_NONE = rf"^({_STACK})?$"


class LeaseBody(_Body):
    """A wish for a lease. The same `key` always means the same lease."""

    recipe: str = Field(min_length=1, max_length=200)
    key: str = Field(min_length=16, max_length=200, description="random for each request")
    run: str = Field("", max_length=200)
    slot: str = Field("", max_length=200)
    ttl_s: float = Field(0, ge=0, description="seconds; 0 takes the default")
    domain: str = Field("", max_length=253, pattern=r"^[A-Za-z0-9._:\[\]-]*$")
    bind: bool = Field(False, description="end the lease when the calling process dies")
    stack: str = Field(
        "", pattern=_STACK_OR_NONE, description="Swarm stack, not there yet, that ends with it"
    )
    secret_versions: dict[str, str] = Field(
        {}, description="version of each Swarm secret of the stack; v1 if not named"
    )


class RenewBody(_Body):
    """A heartbeat."""

    ttl_s: float = Field(0, ge=0, description="seconds from now; 0 keeps the lease's own")


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
