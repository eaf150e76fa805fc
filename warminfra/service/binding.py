"""Which process a lease is bound to: the one that asks, or another of the same user."""

from __future__ import annotations

from warminfra.core.errors import NotAllowed, NotFound, Usage
from warminfra.core.models import ProcessRef
from warminfra.instances.processes import in_our_namespace, owner, process_ref
from warminfra.service.peers import Peer


def bound_process(peer: Peer, pid: int) -> ProcessRef:
    """Return the peer itself (`pid` 0), or the process that it names.

    Raises `NotFound` (there is none), `NotAllowed` (it is another user's), and `Usage` if the
    peer's numbers are not ours: it lives in a pid namespace of its own.
    """
    if pid == 0 or pid == peer.pid:
        caller = process_ref(peer.pid)
        if caller is None:
            raise Usage(
                "the calling process cannot be seen from here, so no lease can be bound to it",
                hint="call without bind and renew, or run in the service's pid namespace",
            )
        return caller
    if not in_our_namespace(peer.pid):
        raise Usage(
            f"process {pid} of the caller's pid namespace has another number here",
            hint="bind the lease to the calling process, or renew it",
        )
    found = process_ref(pid)
    if found is None:
        raise NotFound(f"no process {pid} lives", hint="name one that does, as $$ in a shell")
    if peer.uid not in (0, owner(pid)):
        raise NotAllowed(
            f"process {pid} is another user's", hint="bind the lease to one of your own"
        )
    return found
