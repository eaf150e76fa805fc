"""X12: what exists inside B is answered like what does not."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator

from isolation_checks.events import Finding, Tried
from isolation_checks.world import Party, World
from warminfra.core.audit import Cell, Credential
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret


class Oracle:
    """Ids and names that exist in B, against random ones: at B's doors and at A's own.

    A's tokens ask for B's users, clients, roles, groups, scopes, flows and components by their
    internal ids, in B's realm and in A's; a wrong password is tried for B's user and for nobody;
    and A's admin takes an id that is B's.
    """

    name = "oracle"
    channels = ("X12",)

    def run(self, world: World) -> None:
        """One pair."""
        surface = world.scratch.surface
        attacker, victim = world.attacker(), world.victim()
        own = surface.known(attacker.lease)
        for credential in attacker.credentials:
            for cell in surface.cells(credential.kind):
                if cell.verb == "GET" and "id}" in cell.endpoint:
                    self._ids(world, cell, credential, own, victim)
        self._names(world, attacker, victim)
        self._taken(world, attacker.lease, victim)
        world.end()
        world.scratch.release(attacker.lease, victim)

    def _ids(
        self,
        world: World,
        cell: Cell,
        credential: Credential,
        own: JsonObject,
        victim: JsonObject,
    ) -> None:
        surface = world.scratch.surface
        nobody = {name: str(uuid.uuid4()) for name in victim["audit"]}
        unknown = surface.attempt(cell, credential, {**own, "audit": nobody})
        world.controls += surface.attempt(cell, credential, own) != unknown
        doors = ((victim, "B's door"), ({**own, "audit": victim["audit"]}, "A's own door"))
        for there, where in doors:
            answer = surface.attempt(cell, credential, there)
            random = surface.attempt(cell, credential, {**there, "audit": nobody})
            world.attempts += 1
            told = answer != random
            outcome = "crossed" if told else "refused"
            world.emit(Tried(world.program, f"{cell}, B's id", where, outcome, str(answer)[:300]))
            if told:
                trace = (f"B's id: {answer}", f"a random one: {random}")
                self._report(world, f"{cell} at {where}", "B's id is told from a random one", trace)

    def _names(self, world: World, attacker: Party, victim: JsonObject) -> None:
        """A wrong password for a user of B's, and for a name that nobody has."""
        surface = world.scratch.surface
        for credential in attacker.credentials:
            if "username" not in credential.context:
                continue
            for cell in surface.cells(credential.kind):
                theirs, nobodys = (
                    surface.attempt(cell, one, victim) for one in _wrong(credential, victim)
                )
                world.attempts += 1
                right = surface.attempt(cell, credential, attacker.lease)
                (wrong, _) = _wrong(credential, attacker.lease)
                world.controls += right != surface.attempt(cell, wrong, attacker.lease)
                if theirs != nobodys:
                    trace = (f"B's user: {theirs}", f"nobody: {nobodys}")
                    detail = "a user name of B's is told from a random one"
                    self._report(world, f"user names at {cell}", detail, trace)

    def _taken(self, world: World, lease: JsonObject, victim: JsonObject) -> None:
        """Make something of one's own under an internal id that B has."""
        surface = world.scratch.surface
        for kind, name in (
            ("internal id of a client", "client"),
            ("internal id of a user", "user"),
        ):
            try:
                taken = surface.use(kind, str(victim["audit"][name]), lease)
                free = surface.use(kind, str(uuid.uuid4()), lease)
            except ProviderRefused as refusal:
                world.leave_out("X12", kind, refusal.message)
                continue
            world.attempts += 1
            if taken != free:
                trace = (f"B's id: {taken}", f"a random one: {free}")
                self._report(world, kind, "an id that B has is told from a free one", trace)

    def _report(self, world: World, witness: str, detail: str, trace: tuple[str, ...]) -> None:
        world.report(Finding("X12", self.name, witness, detail, trace))


def _wrong(credential: Credential, victim: JsonObject) -> Iterator[Credential]:
    """Yield a wrong password for the victim's first user, and for nobody."""
    for name in (str(victim["users"][0]["username"]), f"nobody-{secrets.token_hex(8)}"):
        context = {**credential.context, "username": Secret(name)}
        yield Credential(credential.kind, credential.tenant, Secret(secrets.token_hex(8)), context)
