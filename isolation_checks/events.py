"""What the engine tells while it works: frozen values, made once, consumed by every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isolation_checks.steps import Step
from warminfra.core.audit import StockCrossing

CHANNELS = {
    "X1": "authority bleed: a credential of one lease works elsewhere",
    "X2": "artifact replay: a one-shot artifact redeemed elsewhere",
    "X3": "replay-cache interference",
    "X4": "shared keys or secrets",
    "X5": "id collision from one template",
    "X6": "residue after release",
    "X7": "resurrection: a dead lease's credential works",
    "X8": "cookie or browser session bleed",
    "X9": "control-plane interference",
    "X10": "noisy neighbour",
    "X11": "server-wide state changed by a tenant",
    "X12": "oracle on what is inside another tenant",
    "X13": "host escape",
    "X14": "privilege growth inside a lease",
    "X15": "shared directory",
    "X16": "the lease manager itself",
}


PLAIN = "plain"
"""The form of a planted fault that is always there."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What is done now, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt. `outcome`: refused, works (at its owner), mute (proves nothing), crossed.

    `when`: while its lease is alive, released, or after restart (released, and the server killed
    since).
    """

    program: int
    cell: str
    target: str
    outcome: str
    reply: str
    when: str = "alive"
    status: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """How many cells there are: a credential at a verb of an endpoint, at a target, at a time."""

    cells: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something crossed. `witness` names the behaviour: endpoint, verb, credential, target."""

    channel: str
    check: str
    witness: str
    detail: str
    trace: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    """The program that shows it, as far as it can be told in steps."""

    @property
    def name(self) -> str:
        """Return what a reviewer accepts it by."""
        return f"{self.channel}:{self.witness}"


@dataclass(frozen=True, slots=True)
class Explained:
    """A finding is something that the unchanged server is known to let cross."""

    finding: str
    """Its name."""
    stock: StockCrossing


@dataclass(frozen=True, slots=True)
class Noted:
    """Something for the reviewer that decides nothing: a figure, a fate."""

    channel: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that a check could not look at: it is not covered, though its channel may be."""

    channel: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A check came to its end on the system as it is. `controls`: positive controls that passed."""

    check: str
    channels: tuple[str, ...]
    attempts: int
    controls: int
    seconds: float
    about: str = ""
    """What it does, in a sentence."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A mutant was planted and looked for. `killed_by` is empty if nothing saw it."""

    mutant: str
    title: str
    channel: str
    killed_by: str
    witness: str
    seconds: float
    form: str = PLAIN
    """When the fault fires: plain (always), or a stealth form."""
    attempts: int = 0
    """What the checks tried until it was seen, or in all."""
    rounds: int = 0
    """How often the checks of its channel were run until then."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the independent sampler ran."""

    number: int
    seed: int
    steps: tuple[str, ...]
    crossed: bool
    kind: str = "life"
    """life (leases of its own, from their making to their end) or batch (users and clients of its
    own, in leases that some programs share)."""
    seconds: float = 0.0
    spent: Mapping[str, float] = field(default_factory=dict)
    """Seconds by kind of step."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A spoiled prover carried out a small audit. It must not end with `approve`."""

    spoiled: str
    title: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A check, a mutant or a program could not be carried through: never a pass."""

    where: str
    what: str


Event = (
    Phase
    | Known
    | Tried
    | Finding
    | Explained
    | Noted
    | LeftOut
    | Checked
    | Planted
    | Program
    | Rehearsed
    | Trouble
)


def explanations(events: Iterable[Event]) -> dict[str, StockCrossing]:
    """Return by the name of a finding what the server is known for, where it is."""
    return {event.finding: event.stock for event in events if isinstance(event, Explained)}
