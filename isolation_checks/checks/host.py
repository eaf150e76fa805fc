"""X13: a tenant learns nothing of the host, and makes the server call no address of its choice."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.sinks import http_sink, mail_sink, send_mail
from isolation_checks.world import Party, World
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject


class Host:
    """Canaries in the server's environment and files, and placeholders for them in every field.

    Every answer to A is looked through for the canaries and for what the server knows of its host
    (paths, versions of the system). A writes placeholders for the environment, files and the
    vault; they must come back as they were written.
    """

    name = "host"
    channels = ("X13",)

    def run(self, world: World) -> None:
        """One lease."""
        surface = world.scratch.surface
        facts = surface.host_facts()
        told = "".join(surface.server_state().values())
        world.controls += sum(text in told for text in facts.values())
        if not world.controls:
            raise AssertionError("the look sees nothing of the host even where the server tells it")
        lease = world.scratch.lease()
        seen: dict[str, str] = {}
        echoed: set[str] = set()
        placeholders = surface.placeholders()

        def look(tenant: str, request: str, received: str) -> None:
            for name, text in facts.items():
                if text in received:
                    seen.setdefault(name, request)
            echoed.update(one for one in placeholders if one in received)

        with surface.heard(look):
            surface.mark(lease, " ".join(placeholders))
            _reads_all(world, Party(lease, surface.mint(lease)))
        if not echoed:
            raise AssertionError("no placeholder came back: nothing was written")
        world.controls += len(echoed)
        for name, request in sorted(seen.items()):
            detail = f"{name} stands in an answer to {request}"
            world.report(Finding("X13", self.name, f"{name} in {request}", detail))
        world.scratch.release(lease)


class Egress:
    """Every way by which a holder might make the server call an address: a sink must see nothing.

    The sinks are seen to work by a call and a mail of our own. A way that the server does not even
    let begin is not covered, and told.
    """

    name = "egress"
    channels = ("X13",)

    def run(self, world: World) -> None:
        """One lease, every way that its class has."""
        surface = world.scratch.surface
        with http_sink() as web, mail_sink() as mail:
            world.scratch.sinks = {"http": web.port, "mail": mail.port}
            try:
                lease = world.scratch.lease()
                for way in surface.ways(lease):
                    self._went(world, way, lease, web.port)
                    for sink in (web, mail):
                        if sink.all():
                            detail = f"{way}: the server called an address of the tenant's choice"
                            world.report(Finding("X13", self.name, f"call by {way}", detail))
                surface.reach(web.port)
                send_mail(mail.port)
                if not (web.all() and mail.all()):
                    raise AssertionError("a sink does not see even our own call")
                world.controls += 2
                world.scratch.release(lease)
            finally:
                world.scratch.sinks = {}

    def _went(self, world: World, way: str, lease: JsonObject, port: int) -> None:
        try:
            world.scratch.surface.go(way, lease, f"http://127.0.0.1:{port}")
        except ProviderRefused as error:
            world.leave_out("X13", way, error.message)
        else:
            world.attempts += 1


def _reads_all(world: World, party: Party) -> None:
    """Make every call that reads, at A's own tenant and at the server."""
    surface = world.scratch.surface
    for credential in party.credentials:
        for cell in surface.cells(credential.kind):
            if cell.verb == "GET" and not credential.one_shot:
                surface.attempt(cell, credential, party.lease)
                world.attempts += 1
