"""What a check works with: fresh pairs of leases on a scratch server, attempts, and a voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from isolation_checks.events import Event, Finding, Tried
from isolation_checks.scratch import Scratch
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.models import JsonObject

Emit = Callable[[Event], None]


_FORBIDDEN = 403
_SHOWN = 300
"""Characters of an answer that go into the evidence."""


@dataclass(frozen=True, slots=True)
class Party:
    """A holder: its lease, and all that it got out of it."""

    lease: JsonObject
    credentials: Sequence[Credential]


@dataclass(slots=True)
class World:
    """One scratch server during one check or program."""

    scratch: Scratch
    emit: Emit
    program: int = 0
    attempts: int = 0
    controls: int = 0
    found: list[Finding] = field(default_factory=list)
    _bystander: JsonObject | None = None
    _state: str = ""

    def attacker(self) -> Party:
        """Return a new lease with all its credentials."""
        lease = self.scratch.lease()
        return Party(lease, self.scratch.surface.mint(lease))

    def victim(self) -> JsonObject:
        """Return a new lease, with the internal ids that the worst attacker knows."""
        return self.scratch.surface.known(self.scratch.lease())

    def works(self, cell: Cell, credential: Credential, owner: JsonObject) -> bool:
        """The positive control: is the credential told from a forged one where it is valid?"""
        surface = self.scratch.surface
        twin = surface.again(credential, owner) if credential.one_shot else credential
        own = surface.attempt(cell, twin, owner)
        forged = surface.attempt(cell, surface.never_valid(credential), owner)
        good = own != forged
        self.controls += good
        self.emit(
            Tried(self.program, str(cell), "owner", "works" if good else "mute", str(own)[:_SHOWN])
        )
        return good

    def targets(self, cell: Cell, victim: JsonObject) -> list[tuple[JsonObject | None, str]]:
        """Return where else the cell can be tried: at B and at master, or at the server itself."""
        return [(None, "the server")] if cell.server_wide else [(victim, "B"), (None, "master")]

    def crosses(
        self, cell: Cell, credential: Credential, target: JsonObject | None, where: str
    ) -> tuple[str, ...]:
        """Try it elsewhere; return what gives it away, nothing if it is worth nothing there.

        It is worth nothing if it is answered like a forged one; or if it is denied (403) in the
        same words as at a bystander, so that the answer tells nothing of the target; or, at the
        server itself, if the answer tells of its own tenant alone.
        """
        surface = self.scratch.surface
        answer = surface.attempt(cell, credential, target)
        forged = surface.attempt(cell, surface.never_valid(credential), target)
        self.attempts += 1
        outcome = self._outcome(cell, credential, answer, forged)
        self.emit(Tried(self.program, str(cell), where, outcome, str(answer)[:_SHOWN]))
        if outcome != "crossed":
            return ()
        return f"answered: {str(answer)[:_SHOWN]}", f"a forged one: {str(forged)[:_SHOWN]}"

    def _outcome(self, cell: Cell, credential: Credential, answer: Reply, forged: Reply) -> str:
        if answer.mentions - forged.mentions - {credential.tenant}:
            return "crossed"
        if answer == forged:
            return "refused"
        if answer.status == _FORBIDDEN:
            neutral = None if cell.server_wide else self.bystander()
            alike = self.scratch.surface.attempt(cell, credential, neutral)
            return "denied" if answer == alike else "crossed"
        if cell.server_wide and answer.mentions == {credential.tenant}:
            return "own"
        return "crossed"

    def bystander(self) -> JsonObject:
        """Return a lease that does nothing; one for the life of this world."""
        if self._bystander is None:
            self._bystander = self.scratch.surface.known(self.scratch.lease())
            self._state = self.scratch.surface.digest(self._bystander)
        return self._bystander

    def end(self) -> None:
        """See that nothing has happened to the bystander, and give it back."""
        if self._bystander is None:
            return
        if self.scratch.surface.digest(self._bystander) != self._state:
            detail = "what is inside a lease that did nothing has changed"
            self.report(Finding("X1", "bystander", "a bystander changed", detail))
        self.scratch.release(self._bystander)
        self._bystander = None

    def report(self, finding: Finding) -> None:
        """Tell of something that crossed, once."""
        if finding.name not in {known.name for known in self.found}:
            self.found.append(finding)
            self.emit(finding)


def witness(cell: Cell, where: str) -> str:
    """Return the behaviour key of an attempt."""
    return f"{cell} of {where}"
