"""Every way to fail that a user or a program can tell apart.

    WarminfraError
    ├── Usage               2   wrong call
    ├── RecipeInvalid      65   a recipe or realm file does not fit; carries all its problems
    ├── NotFound           66
    ├── Unreachable        69   the service or the provider does not answer
    │   └── OutcomeUnknown      a provider call that may or may not have happened
    ├── ProviderRefused    69   the provider said no, for certain, and did nothing
    │   └── IdentityRefused     it does not let us in with the credentials that we have
    ├── EngineRefused      69   the container engine said no
    ├── RegistryRefused    69   an image registry said no, or gave something else than was asked
    ├── Internal           70   a bug of ours
    ├── StorageFull        73
    ├── LeaseLost          74
    ├── NoCapacity         75   waited in vain
    ├── NotAllowed         77
    │   ├── WrongHandle
    │   └── SharingRefused
    ├── ConfigInvalid      78
    └── Conflict           79

Each class fixes a stable `code` (problem+json), an HTTP status and an exit code; the message says
what was wrong with the value, `hint` what to do. They are mapped to HTTP in `service`, to exit
codes in `cli`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar


class WarminfraError(Exception):
    """Base: one line of message, one line of remedy."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Usage(WarminfraError):
    """The call itself is wrong."""

    code, http_status, exit_code = "usage", 400, 2


class RecipeInvalid(WarminfraError):
    """A recipe or realm file does not fit. `problems` has one line for each fault."""

    code, http_status, exit_code = "recipe_invalid", 422, 65

    def __init__(self, problems: Iterable[str], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class NotFound(WarminfraError):
    """No such recipe, lease, tenant or verdict."""

    code, http_status, exit_code = "not_found", 404, 66


class Unreachable(WarminfraError):
    """The service or the provider does not answer."""

    code, http_status, exit_code = "unreachable", 503, 69


class OutcomeUnknown(Unreachable):
    """A provider call ended in a timeout, a 5xx or a cut connection: it may have been done."""

    code = "outcome_unknown"


class ProviderRefused(WarminfraError):
    """The provider refused a call; nothing was done."""

    code, http_status, exit_code = "provider_refused", 502, 69


class IdentityRefused(ProviderRefused):
    """The provider does not know the identity, or not with that secret: asking again is in vain."""

    code = "identity_refused"


class EngineRefused(WarminfraError):
    """The container engine refused a call."""

    code, http_status, exit_code = "engine_refused", 502, 69


class RegistryRefused(WarminfraError):
    """A registry refused for certain, or served what does not have the digest asked for."""

    code, http_status, exit_code = "registry_refused", 502, 69


class Internal(WarminfraError):
    """A bug of ours."""

    code, http_status, exit_code = "internal", 500, 70
    default_hint = "this is a bug: run again with WARMINFRA_DEBUG=1 and report what it prints"


class StorageFull(WarminfraError):
    """The disk is full, below the reserve, or not writable."""

    code, http_status, exit_code = "storage_full", 507, 73


class LeaseLost(WarminfraError):
    """The lease has ended; its credentials are dead."""

    code, http_status, exit_code = "lease_lost", 410, 74
    default_hint = "take a new lease"


class NoCapacity(WarminfraError):
    """Nothing free within the time given."""

    code, http_status, exit_code = "no_capacity", 503, 75


class NotAllowed(WarminfraError):
    """The caller may not do that."""

    code, http_status, exit_code = "not_allowed", 403, 77


class WrongHandle(NotAllowed):
    """The handle does not belong to the lease."""

    code = "wrong_handle"
    default_hint = "pass the handle from the lease document in WARMINFRA_LEASE_HANDLE"


class SharingRefused(NotAllowed):
    """The decision table does not let this recipe share, and there is no dedicated server."""

    code = "sharing_refused"


class ConfigInvalid(WarminfraError):
    """A configuration value is wrong, or what it names cannot be used."""

    code, http_status, exit_code = "config_invalid", 500, 78


class Conflict(WarminfraError):
    """Something else is in the way: a second service, a key used for another recipe."""

    code, http_status, exit_code = "conflict", 409, 79


def error_classes() -> Iterator[type[WarminfraError]]:
    """Yield every class of the tree, base first."""
    stack: list[type[WarminfraError]] = [WarminfraError]
    while stack:
        cls = stack.pop()
        yield cls
        stack.extend(cls.__subclasses__())


def from_code(code: str, message: str, hint: str = "") -> WarminfraError:
    """Rebuild the error that a problem+json document with `code` stands for."""
    for cls in error_classes():
        if cls.code == code and cls is not WarminfraError:
            if issubclass(cls, RecipeInvalid):
                return cls(message.splitlines(), hint=hint)
            return cls(message, hint=hint)
    return Internal(f"{code}: {message}", hint=hint)
