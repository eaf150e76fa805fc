"""Plants faults and looks whether the checks see them: is the prover blind?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set

from isolation_checks.checks.base import Check
from isolation_checks.events import Event, Finding, Planted, Trouble
from isolation_checks.mutants.base import Mutant
from isolation_checks.scratch import Scratch
from isolation_checks.world import World


def plant(
    server: Scratch,
    mutant: Mutant,
    checks: Sequence[Check],
    emit: Callable[[Event], None],
    stock: Set[str] = frozenset(),
) -> None:
    """Plant one, run the checks of its channel until one sees it, and tell.

    What is found without the fault too (`stock`, by name) says nothing of it.
    """
    began = time.monotonic()
    seen: Finding | None = None
    for check in checks:
        if mutant.channel not in check.channels or seen:
            continue
        world = World(server, lambda _: None)
        try:
            with mutant.planted(server):
                check.run(world)
        except Exception as error:  # noqa: BLE001 - a check that breaks has seen nothing
            if not world.found:
                emit(Trouble(f"mutant {mutant.id}", f"{type(error).__name__}: {error}"))
        server.abandon()
        seen = next(
            (one for one in world.found if one.channel == mutant.channel and one.name not in stock),
            None,
        )
    emit(
        Planted(
            mutant.id,
            mutant.title,
            mutant.channel,
            seen.check if seen else "",
            seen.witness if seen else "",
            time.monotonic() - began,
        )
    )
