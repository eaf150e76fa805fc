"""`warminfra status`: what runs, and why leases are served as they are. The reason comes first."""

from __future__ import annotations

from datetime import timedelta

from warminfra.cli import session
from warminfra.cli.holder import lease_table
from warminfra.cli.output import Output, Plain, as_json, emit, table
from warminfra.cli.recipes import recipe_table
from warminfra.core.models import JsonObject

_MIB = 1 << 20


def status(form: Output = Plain.HUMAN) -> None:
    """Show the service: mode and its reason, warnings, instances, pools, leases, quarantine."""
    with session.client() as client:
        found = client.status()
        if form is Plain.JSON:
            emit(as_json(found))
            return
        recipes, leases = client.recipes(), client.leases()
    emit(_human(found, recipes, leases))


def _human(found: JsonObject, recipes: list[JsonObject], leases: list[JsonObject]) -> str:
    policy = found["policy"]
    uptime = timedelta(seconds=round(found["uptime_s"]))
    lines = [
        *_accepted(found["accepted"]),
        *_modes(found["gate"]),
        f"policy: {policy['policy']}, at least {policy['min_profile']}, needs {policy['require']}",
        *(f"warning: {warning}" for warning in found["warnings"]),
        f"service: version {found['version']}, pid {found['pid']}, up {uptime}, "
        f"installation {found['installation']}",
        f"tenants: {_counts(found['tenants'])}",
        f"leases: {_counts(found['leases'])}, {found['waiting']} waiting",
        _quarantine(found["quarantine"]),
        *(_removing(row) for row in found["removing"]),
        *_held(found["held"], found["hold"]),
        "",
    ]
    instances = table(
        "instances",
        ("id", "kind", "state", "live", "made", "url", "note"),
        [
            [
                row["id"],
                f"{row['provider']} {row['kind']}",
                row["state"],
                str(row["live"]),
                str(row["made"]),
                row["url"] or "-",
                row["note"],
            ]
            for row in found["instances"]
        ],
    )
    return "\n".join(lines) + instances + recipe_table(recipes) + lease_table(leases)


def _modes(gate: list[JsonObject]) -> list[str]:
    """Return one line for each mode and reason, with the recipes that it holds for."""
    held: dict[tuple[str, str], list[str]] = {}
    for row in gate:
        held.setdefault((row["mode"], row["reason"]), []).append(row["recipe"])
    return [
        f"mode: {mode}, because {reason} ({', '.join(names)})"
        for (mode, reason), names in held.items()
    ] or ["mode: no recipe is enrolled (warminfra enroll RECIPE)"]


def _accepted(rows: list[JsonObject]) -> list[str]:
    """Return one line for each finding that the reviewer lets stand: it comes first."""
    return [
        f"accepted{'' if row['stands'] else ' until its day, and no more'}: {row['finding']} "
        f"(until {row['until']}: {row['why']})"
        for row in rows
    ]


def _held(rows: list[JsonObject], budget: JsonObject) -> list[str]:
    """Return one line for each lease that is kept for a look, after one for all of them."""
    if not rows:
        return []
    taken = sum(row["memory"] for row in rows) / _MIB
    first = (
        f"held: {len(rows)} of {budget['max']}, {taken:.0f} of {budget['memory'] / _MIB:.0f} MiB"
    )
    return [first] + [
        f"lease {row['id']} of {row['recipe']} is held until {row['held_until']}"
        + (f" (run {row['run']})" if row["run"] else "")
        for row in rows
    ]


def _removing(row: JsonObject) -> str:
    tries = f", {row['attempts']} failed tries" if row["attempts"] else ""
    why = f": {row['reason']}" if row["reason"] else ""
    return f"stack {row['name']} of lease {row['lease']} is being removed{tries}{why}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"


def _quarantine(count: int) -> str:
    if not count:
        return "quarantine: empty"
    return (
        f"quarantine: {count} tenants and stacks could not be taken down (warminfra quarantine ls)"
    )
