"""What a check works with: fresh pairs of leases on a scratch server, attempts, and a voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from isolation_checks.events import Event, Finding, LeftOut, Noted, Tried
from isolation_checks.scratch import Scratch
from isolation_checks.steps import Step
from warminfra.core.audit import REFUSED, Cell, Credential, Reply
from warminfra.core.models import JsonObject

Emit = Callable[[Event], None]


BYSTANDER_CHANGED = "a bystander changed"
_FORBIDDEN = 403
_SHOWN = 300
"""Characters of an answer that go into the evidence."""


@dataclass(frozen=True, slots=True)
class Party:
    """A holder: its lease, and all that it got out of it."""

    lease: JsonObject
    credentials: Sequence[Credential]


@dataclass(slots=True)
class Bystander:
    """A lease that does nothing, and how it was found; worlds may share one."""

    lease: JsonObject | None = None
    state: str = ""


@dataclass(slots=True)
class World:
    """One scratch server during one check or program."""

    scratch: Scratch
    emit: Emit
    program: int = 0
    seed: int = 0
    """Of what a check draws."""
    effort: int = 1
    """How much a check that draws does."""
    check: str = "program"
    """Who works with it: a check by its name, or a program."""
    when: str = "alive"
    """How the credentials' lease is: alive, released, after restart."""
    cycles: int = 3
    """Lives of leases over which leftovers are counted."""
    attempts: int = 0
    controls: int = 0
    found: list[Finding] = field(default_factory=list)
    still: Bystander = field(default_factory=Bystander)

    def attacker(self) -> Party:
        """Return a new lease with all its credentials."""
        lease = self.scratch.lease()
        return Party(lease, self.scratch.surface.mint(lease))

    def victim(self) -> JsonObject:
        """Return a new lease whose user is logged in, with the internal ids that the worst attacker
        knows."""
        lease = self.scratch.lease()
        if lease["users"]:
            self.scratch.surface.browser().sign_in(lease)
        return self.scratch.surface.known(lease)

    def works(self, cell: Cell, credential: Credential, owner: JsonObject) -> bool:
        """The positive control: is the credential told from a forged one where it is valid?"""
        surface = self.scratch.surface
        twin = surface.again(credential, owner) if credential.one_shot else credential
        own = surface.attempt(cell, twin, owner)
        forged = surface.attempt(cell, surface.never_valid(credential), owner)
        good = own != forged
        self.controls += good
        self._tell(cell, "owner", "works" if good else "mute", own)
        return good

    def targets(self, cell: Cell, victim: JsonObject) -> list[tuple[JsonObject | None, str]]:
        """Return where else the cell can be tried: at B and at master, or at the server itself."""
        return [(None, "the server")] if cell.server_wide else [(victim, "B"), (None, "master")]

    def crosses(
        self, cell: Cell, credential: Credential, target: JsonObject | None, where: str
    ) -> tuple[str, ...]:
        """Try it elsewhere; return what gives it away, nothing if it is worth nothing there.

        It is worth nothing if it is refused like a forged one (both let in is worse than one, but
        where a cell answers all); or if it is denied (403) in the
        same words as at a bystander, so that the answer tells nothing of the target; or, if it
        reads from the server itself, if the answer tells of no tenant but its own, and nothing of
        the host.
        """
        surface = self.scratch.surface
        answer = surface.attempt(cell, credential, target)
        forged = surface.attempt(cell, surface.never_valid(credential), target)
        self.attempts += 1
        outcome = self._outcome(cell, credential, answer, forged)
        self._tell(cell, where, outcome, answer)
        if outcome != "crossed":
            return ()
        told = [f"it tells {name}" for name in sorted(answer.host)]
        return *told, f"answered: {str(answer)[:_SHOWN]}", f"a forged one: {str(forged)[:_SHOWN]}"

    def _tell(self, cell: Cell, where: str, outcome: str, reply: Reply) -> None:
        shown = str(reply)[:_SHOWN]
        self.emit(Tried(self.program, str(cell), where, outcome, shown, self.when, reply.status))

    def _outcome(self, cell: Cell, credential: Credential, answer: Reply, forged: Reply) -> str:
        if answer.host or answer.mentions - forged.mentions - {credential.tenant}:
            return "crossed"
        if answer == forged:
            return "crossed" if let_in(cell, answer) else "refused"
        if answer.status == _FORBIDDEN:
            neutral = None if cell.server_wide else self.bystander()
            alike = self.scratch.surface.attempt(cell, credential, neutral)
            return "denied" if answer == alike else "crossed"
        if cell.looks_at_server:
            return "own" if answer.mentions else "common"
        return "crossed"

    def bystander(self) -> JsonObject:
        """Return a lease that does nothing; one for the life of this world."""
        if self.still.lease is None:
            self.still.lease = self.victim()
            self.look_again()
        return self.still.lease

    def look_again(self) -> None:
        """Take the bystander for unchanged as it is now: the server was killed meanwhile."""
        if self.still.lease is not None:
            self.still.state = self.scratch.surface.digest(self.still.lease)

    def watch(self, steps: Sequence[Step] = ()) -> bool:
        """Report if something has happened to the bystander since the last look; `steps` did it."""
        if self.still.lease is None:
            return False
        before, self.still.state = self.still.state, self.scratch.surface.digest(self.still.lease)
        if before == self.still.state:
            return False
        detail = "what is inside a lease that did nothing has changed"
        told = tuple(map(str, steps))
        self.report(Finding("X1", self.check, BYSTANDER_CHANGED, detail, told, tuple(steps)))
        return True

    def end(self) -> None:
        """See that nothing has happened to the bystander, and give it back."""
        self.watch()
        if self.still.lease is not None:
            self.scratch.release(self.still.lease)
            self.still.lease = None

    def note(self, channel: str, subject: str, text: str) -> None:
        """Tell the reviewer something that decides nothing."""
        self.emit(Noted(channel, subject, text))

    def leave_out(self, channel: str, what: str, why: str) -> None:
        """Tell the reviewer what could not be looked at."""
        self.emit(LeftOut(channel, what, why))

    def report(self, finding: Finding) -> None:
        """Tell of something that crossed, once."""
        if finding.name not in {known.name for known in self.found}:
            self.found.append(finding)
            self.emit(finding)


def let_in(cell: Cell, answer: Reply) -> bool:
    """Say whether an answer lets in who asks, a forged credential as well as a real one."""
    return 0 < answer.status < REFUSED and not cell.answers_all


def witness(cell: Cell, where: str) -> str:
    """Return the behaviour key of an attempt."""
    return f"{cell} of {where}"
