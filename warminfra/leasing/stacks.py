"""The stacks that leases own: taken only when nothing has the name, removed when the lease ends.

What is removed carries exactly the stack's label and was made after the lease began; whatever else
has a similar name, or had this one before, is somebody else's and is let be. The order is services,
their tasks, networks, secrets, configs, volumes; nothing of one kind is touched while something
before it is left. One hand does all of it, so no secret is made for a stack that is being removed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from warminfra.core.clock import Clock
from warminfra.core.engine import STACK_LABEL, StackKind, StackObject
from warminfra.core.entropy import Entropy
from warminfra.core.errors import Conflict, LeaseLost, Unreachable, WarminfraError
from warminfra.core.ids import TenantId
from warminfra.core.models import OwnedStack
from warminfra.core.ports import Stacks
from warminfra.core.secret import Secret
from warminfra.core.states import StackState
from warminfra.leasing.backoff import backoff
from warminfra.leasing.settings import QUARANTINE_AFTER, LeasingSettings
from warminfra.ledger import Ledger

log = structlog.get_logger()

LEASE_LABEL = "warminfra.lease"
"""On the secrets that we make for a stack, beside the stack's own label."""

LOOK_AGAIN = 0.3
"""Seconds after which something that goes by itself is looked for again."""

PASSES = len(StackKind) + 1
"""Looks of one attempt: one for each kind that goes at once, and the last."""


@dataclass(slots=True)
class StackKeeper:
    """Owns the line between the ledger's stacks and the engine's. `engine` None: there is none."""

    ledger: Ledger
    clock: Clock
    entropy: Entropy
    settings: LeasingSettings
    engine: Stacks | None
    _hand: threading.Lock = field(default_factory=threading.Lock)

    # ------------------------------------------------------------ for a lease

    def require_free(self, name: str) -> None:
        """Raise `Conflict` if anything has the stack's name; `Unreachable` without an engine."""
        found = self._engine().objects(name)
        if found and not self._ours_already(name):
            raise Conflict(
                f"stack {name} exists: {_names(found)}",
                hint="a lease owns a stack that is made after it; remove this one or name another",
            )

    def adopt(self, lease: TenantId, name: str, since: datetime) -> OwnedStack:
        """Let an active lease own a stack that was made after it, or is yet to be made."""
        older = [found for found in self._engine().objects(name) if not _made_since(found, since)]
        if older:
            raise Conflict(
                f"stack {name} is older than the lease: {_names(older)}",
                hint="a lease owns only what was made after it began",
            )
        found = self.ledger.stacks.own(lease, name, since)
        if found is None:
            raise LeaseLost(f"lease {lease} has ended")
        if found.lease != lease or found.state is not StackState.OWNED:
            raise taken(found)
        return found

    def make_secrets(self, lease: TenantId, stack: str, secrets: Mapping[str, Secret]) -> None:
        """Make the stack's secrets, full name → value; those that the lease made already stay."""
        if not secrets:
            return
        engine = self._engine()
        labels = {STACK_LABEL: stack, LEASE_LABEL: lease}
        with self._hand:
            states = {row.name: row.state for row in self.ledger.stacks.of(lease)}
            if states.get(stack) is not StackState.OWNED:
                raise LeaseLost(f"lease {lease} does not own stack {stack} any more")
            have = {found.name for found in engine.objects(stack)}
            for name, value in secrets.items():
                if name not in have:
                    engine.make_secret(name, value, labels)

    def memory(self, name: str) -> int:
        """Return the bytes of memory that a stack takes now."""
        return self._engine().memory(name)

    # ------------------------------------------------------------ in the background

    def step(self) -> str:
        """Go on with every removal that is due; say whether a stack is gone now."""
        did = ""
        for stack in self.ledger.stacks.due(self.clock.boot()):
            with self._hand:
                did = "removed" if self._attempt(stack) else did
        return did

    def _attempt(self, stack: OwnedStack) -> bool:
        try:
            left = self._take_down(stack)
        except WarminfraError as error:
            self._failed(stack, error.message)
            return False
        except Exception as error:
            # One that nobody has thought of must not keep the others from being removed.
            log.exception("stack not removed", stack=stack.name, lease=stack.lease)
            self._failed(stack, f"{type(error).__name__}: {error}")
            return False
        if left:
            self._wait(stack, left)
            return False
        log.info("stack removed", stack=stack.name, lease=stack.lease)
        return self.ledger.stacks.gone(stack)

    def _take_down(self, stack: OwnedStack) -> list[StackObject]:
        """Remove kind after kind as long as each goes at once; return what is left."""
        engine = self._engine()
        before: list[StackObject] = []
        for _ in range(PASSES):
            left = [o for o in engine.objects(stack.name) if _made_since(o, stack.since)]
            if not left or left == before:
                return left
            before = left
            first = next(kind for kind in StackKind if any(o.kind is kind for o in left))
            for found in left:
                if found.kind is first:
                    engine.remove(found)
        return left

    def _wait(self, stack: OwnedStack, left: list[StackObject]) -> None:
        """What was removed goes by itself; only if it takes long it counts as a failure."""
        why = f"still there: {_names(left)}"
        self.ledger.stacks.put_off(stack, self.clock.boot() + LOOK_AGAIN, why, count=False)

    def _failed(self, stack: OwnedStack, why: str) -> None:
        delay = backoff(stack.attempts, self.settings.retry_limit, self.settings.retry_base)
        jitter = 0.5 + self.entropy.fraction()
        again = self.clock.boot() + delay * jitter
        self.ledger.stacks.put_off(stack, again, why, count=True)
        if stack.attempts + 1 == QUARANTINE_AFTER:
            log.error("stack cannot be removed", stack=stack.name, lease=stack.lease, why=why)

    def _ours_already(self, name: str) -> bool:
        """Say whether a lease of ours has the name: then the ledger says who waits for whom."""
        live = (StackState.OWNED, StackState.REMOVING)
        return any(row.name == name for state in live for row in self.ledger.stacks.in_state(state))

    def _engine(self) -> Stacks:
        if self.engine is None:
            raise Unreachable(
                "there is no container engine, so no stack can be owned",
                hint="set engine.host, and install warminfra[docker]",
            )
        self.engine.ready()
        return self.engine


def taken(stack: OwnedStack) -> Conflict:
    """Return the error for a stack that another lease has."""
    doing = "is being removed after" if stack.state is StackState.REMOVING else "belongs to"
    return Conflict(
        f"stack {stack.name} {doing} lease {stack.lease}",
        hint="release that lease, or give this run's stack another name",
    )


def _made_since(found: StackObject, since: datetime) -> bool:
    """Say whether an object is the lease's. Engines round some times down to the second."""
    rounded = found.created_at.microsecond == 0
    return found.created_at >= (since.replace(microsecond=0) if rounded else since)


def _names(found: Sequence[StackObject]) -> str:
    shown = ", ".join(f"{item.kind} {item.name}" for item in found[:5])
    return shown + (f" and {len(found) - 5} more" if len(found) > 5 else "")
