"""Swarm stacks in memory: what somebody deploys, and what takes its time to go.

For unit tests and simulations; never evidence of what a real Swarm does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from warminfra.core.clock import Clock
from warminfra.core.engine import RunningImage, StackKind, StackObject
from warminfra.core.errors import Conflict, Unreachable
from warminfra.core.secret import Secret

Fault = Callable[[str], None]


@dataclass(slots=True)
class FakeSwarm:
    """The Swarm's truth: it survives a crash of the service."""

    clock: Clock
    stacks: dict[str, list[StackObject]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    """Bytes that a stack's containers take."""
    up: bool = True
    _ids: count[int] = field(default_factory=count)

    def deploy(self, stack: str) -> None:
        """Make one object of each kind, as somebody's `docker stack deploy` does."""
        for kind in StackKind:
            self.add(stack, kind, f"{stack}_{kind}")

    def add(self, stack: str, kind: StackKind, name: str) -> StackObject:
        """Make one object now."""
        made = StackObject(kind, f"id-{next(self._ids)}", name, self.clock.wall())
        self.stacks.setdefault(stack, []).append(made)
        return made


@dataclass(slots=True)
class FakeStacks:
    """`Stacks` on a `FakeSwarm`. Removing what something else still uses is a conflict."""

    swarm: FakeSwarm
    fault: Fault = lambda point: None

    def ready(self) -> None:
        self._call("swarm:ready")

    def objects(self, stack: str) -> Sequence[StackObject]:
        self._call("swarm:list")
        return list(self.swarm.stacks.get(stack, []))

    def remove(self, found: StackObject) -> None:
        self._call("swarm:remove")
        order = list(StackKind)
        for objects in self.swarm.stacks.values():
            if found in objects:
                uses = [o for o in objects if order.index(o.kind) < order.index(found.kind)]
                if any(o.created_at >= found.created_at for o in uses):
                    raise Conflict(f"{found.kind} {found.name} is in use")
                objects.remove(found)
        self.fault("swarm:removed")

    def make_secret(self, name: str, value: Secret, labels: Mapping[str, str]) -> str:
        self._call("swarm:secret")
        stack = labels["com.docker.stack.namespace"]
        if any(o.name == name for o in self.swarm.stacks.get(stack, [])):
            raise Conflict(f"secret {name} exists")
        made = self.swarm.add(stack, StackKind.SECRET, name)
        self.fault("swarm:secret made")
        return made.id

    def images(self, stack: str) -> Sequence[RunningImage]:
        return []

    def memory(self, stack: str) -> int:
        self._call("swarm:memory")
        return self.swarm.memory.get(stack, 0)

    def _call(self, point: str) -> None:
        self.fault(point)
        if not self.swarm.up:
            raise Unreachable("the engine does not answer")
