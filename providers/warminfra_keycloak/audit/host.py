"""What of the host a tenant must not learn: canaries of our own, and what the server knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warminfra.core.models import ServerAccess

CANARY, DATA = "canary", "data"
"""Names in a scratch server's access: the canary's text, the folder of the server's files."""
CANARY_VARIABLE = "WARMINFRA_CANARY"

_SHORTEST = 6
_SYSTEM = ("javaHome", "userDir", "osVersion", "javaVm", "javaRuntime")


def facts_of(access: ServerAccess, info: Mapping[str, Any]) -> dict[str, str]:
    """Return name → text: the canary, where the files lie, what the system is."""
    found = {
        "the canary in environment and files": access.identity[CANARY].reveal(),
        "the folder of the server's files": access.identity[DATA].reveal(),
    }
    system = info.get("systemInfo", {})
    found |= {f"the server's {name}": str(system.get(name, "")) for name in _SYSTEM}
    return {name: text for name, text in found.items() if len(text) >= _SHORTEST}


def placeholders(access: ServerAccess) -> tuple[str, ...]:
    """Return texts that a careless server would replace by something of its own."""
    return (
        f"${{env.{CANARY_VARIABLE}}}",
        f"${{{CANARY_VARIABLE}}}",
        "${kc.home.dir}",
        "${java.home}",
        f"${{vault.{CANARY}}}",
    )
