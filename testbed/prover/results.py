"""What was finished so far, kept in one file, and the table made of it.

Only what was measured is in the table; a fault that was not seen with some seed says so.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from isolation_checks import figures
from warminfra.core.errors import Conflict
from warminfra.core.files import write_private

_CODE = ("warminfra", "warminfra_keycloak", "isolation_checks")

Json = dict[str, Any]


@dataclass(slots=True)
class State:
    """Finished self-tests by seed, finished audits by profile and class."""

    file: Path
    code: str
    self_tests: dict[str, Json] = field(default_factory=dict)
    audits: dict[str, list[Json]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, *, fresh: bool = False) -> State:
        """Read the file, or begin. Raises `Conflict` if it is of other code."""
        code = code_digest()
        if fresh or not file.is_file():
            return cls(file, code)
        told = json.loads(file.read_text())
        if told["code"] != code:
            raise Conflict(
                f"{file} holds results of other code than what runs now",
                hint="begin anew with --fresh, or go back to that code",
            )
        return cls(file, code, told["self_tests"], told["audits"])

    def write(self) -> None:
        """Keep it, whole or as it was before."""
        told = {"code": self.code, "self_tests": self.self_tests, "audits": self.audits}
        write_private(self.file, json.dumps(told, indent=1))


def code_digest() -> str:
    """Return the digest of every file of ours that the numbers depend on."""
    digest = hashlib.sha256()
    for package in _CODE:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            for file in sorted(Path(root).rglob("*.py")):
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def whole(state: State) -> bool:
    """Say whether every fault was seen with every seed and no audit raised an alarm."""
    seen = all(one["killed_by"] for test in state.self_tests.values() for one in test["planted"])
    return seen and not any(alarm(one) for audits in state.audits.values() for one in audits)


def alarm(audit: Json) -> bool:
    """Say whether an audit of the system as it is ended otherwise than with `approve`."""
    return bool(audit["outcome"] != "approve")


def table(state: State) -> str:
    """Return the results as Markdown."""
    lines = ["# What the prover sees", ""]
    lines += ["Made by `make soak-prover`; what is not in here was not measured.", ""]
    if state.self_tests:
        lines += _kills(state.self_tests)
    for name, audits in state.audits.items():
        if audits:
            lines += _alarms(name, audits)
    return "\n".join(lines) + "\n"


def _kills(tests: dict[str, Json]) -> list[str]:
    found: dict[tuple[str, ...], list[Json]] = defaultdict(list)
    for test in tests.values():
        for one in test["planted"]:
            found[one["mutant"], one["title"], one["form"], one["channel"]].append(one)
    seconds = median(test["seconds"] for test in tests.values())
    lines = [
        f"## Kill table, seed {', '.join(sorted(tests, key=int))}",
        "",
        f"A whole self-test took {seconds:.0f} s (median). Attempts, rounds and seconds are medians"
        " up to the first finding in the fault's channel, over the seeds that saw it.",
        "",
        "| fault | form | channel | seen | by | attempts | rounds | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (mutant, title, form, channel), plantings in sorted(found.items()):
        seen = [one for one in plantings if one["killed_by"]]
        by = ", ".join(sorted({one["killed_by"] for one in seen})) or "**nothing**"
        numbers = " | ".join(
            f"{median(one[name] for one in seen):g}" if seen else "–"
            for name in ("attempts", "rounds")
        )
        took = f"{median(one['seconds'] for one in seen):.1f}" if seen else "–"
        lines.append(
            f"| {mutant} {title} | {form} | {channel} | {len(seen)} of {len(plantings)} | {by} | "
            f"{numbers} | {took} |"
        )
    absent = {one["id"]: one for test in tests.values() for one in test["absent"]}
    lines += [
        f"| {one['id']} {one['title']} | – | {one['channel']} | cannot exist here | "
        f"{one['reason']} | – | – | – |"
        for _, one in sorted(absent.items())
    ]
    return [*lines, "", *_spoiled(tests), ""]


def _spoiled(tests: dict[str, Json]) -> list[str]:
    """Return how the spoiled provers ended, beside the whole one, over all seeds."""
    ends: dict[tuple[str, str], list[str]] = defaultdict(list)
    for test in tests.values():
        for one in test["rehearsed"]:
            ends[one["spoiled"], one["title"]].append(one["outcome"])
    lines = ["| spoiled prover | its small audit ended, by seed |", "|---|---|"]
    return lines + [
        f"| {name} {title} | {', '.join(outcomes)} |"
        for (name, title), outcomes in sorted(ends.items())
    ]


def _alarms(name: str, audits: list[Json]) -> list[str]:
    wrong = [one for one in audits if alarm(one)]
    highest = figures.at_most(len(wrong), len(audits))
    took = median(one["seconds"] for one in audits)
    lines = [
        f"## Alarms in {len(audits)} audits of the system as it is ({name})",
        "",
        f"{len(wrong)} of {len(audits)}: a rate of alarms above {highest:.1%} is excluded with "
        f"95 % confidence (exact binomial). An audit took {took:.0f} s (median).",
        "",
    ]
    lines += [
        f"- seed {one['seed']}: {one['outcome']}: "
        + "; ".join([*one["findings"], *one["reasons"]][:5])
        for one in wrong
    ]
    return [*lines, *_profile(audits), ""]


def spent(trace: Path) -> Json:
    """Return where an audit's time went, by its trace: seconds by part, and the programs."""
    parts: dict[str, float] = defaultdict(float)
    steps: dict[str, float] = defaultdict(float)
    programs = 0
    with trace.open() as lines:
        for event in map(json.loads, lines):
            match event["event"]:
                case "Checked":
                    parts[f"check: {event['check']}"] += event["seconds"]
                case "Planted":
                    parts["planted faults"] += event["seconds"]
                case "Program":
                    programs += 1
                    parts["programs"] += event["seconds"]
                    for step, seconds in event["spent"].items():
                        steps[step] += seconds
    return {"parts": dict(parts), "steps": dict(steps), "programs": programs}


def _profile(audits: list[Json]) -> list[str]:
    """Return the table of medians: what each part took, and each kind of step of the programs."""
    whole_time = median(one["seconds"] for one in audits)
    names = {name for one in audits for name in one["spent"]["parts"]}
    parts = {name: median(one["spent"]["parts"].get(name, 0.0) for one in audits) for name in names}
    parts["the rest: servers that start and end, the search"] = whole_time - sum(parts.values())
    lines = ["", "| part | seconds | share |", "|---|---|---|"]
    lines += [
        f"| {name} | {seconds:.1f} | {seconds / whole_time:.0%} |"
        for name, seconds in sorted(parts.items(), key=lambda entry: -entry[1])
    ]
    kinds = {name for one in audits for name in one["spent"]["steps"]}
    steps = {name: sum(one["spent"]["steps"].get(name, 0.0) for one in audits) for name in kinds}
    programs = sum(one["spent"]["programs"] for one in audits)
    if steps and parts.get("programs"):
        pace = programs / sum(one["spent"]["parts"].get("programs", 0.0) for one in audits)
        most_first = dict(sorted(steps.items(), key=lambda entry: -entry[1]))
        lines += ["", figures.told(pace, most_first)]
    return lines
