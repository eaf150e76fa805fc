"""Counterexamples as files: `counterexample-N.json`, and `replay-N.py`, which anybody can run.

A replay makes a scratch installation of its own and does what the file says; no secret is in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from isolation_checks.checks.base import Check
from isolation_checks.confirm import Counterexample
from isolation_checks.hunt import told
from isolation_checks.scratch import Scratch, scratch
from isolation_checks.stage import run_steps
from isolation_checks.steps import from_json, to_json
from isolation_checks.world import World
from warminfra.core.audit import AuditPackage
from warminfra.core.errors import NotFound, Usage

SCHEMA = "warminfra.counterexample/v1"
_OF_THE_VERDICT = (
    "id",
    "fingerprint",
    "fingerprint_parts",
    "lease_class",
    "seed",
    "effort",
    "cycles",
)
CROSSES, SHUT, UNKNOWN = 10, 0, 3
"""Exit codes of a replay: it crosses again, it does not, it could not be tried. Python's own for
what goes wrong, 1 and 2, are none of them."""

_SCRIPT = '''#!/usr/bin/env python3
"""Shows {name}
again, on a fresh server of its own. Needs warminfra installed, and nothing else of the audit.

Exit code {crosses}: it crosses; {shut}: it does not; {unknown}: it could not be tried.
"""

from pathlib import Path

from isolation_checks.counterexample import main

main(Path(__file__).with_name("{file}"))
'''


def files(
    examples: Iterable[Counterexample], verdict: Mapping[str, Any], recipe: Path
) -> dict[str, str]:
    """Return name → text of each counterexample and its script."""
    written = {}
    for number, example in enumerate(examples, 1):
        name = f"counterexample-{number}.json"
        finding = example.finding
        document = {
            "schema": SCHEMA,
            "finding": finding.name,
            "channel": finding.channel,
            "witness": finding.witness,
            "check": finding.check,
            "detail": finding.detail,
            "steps": to_json(example.steps),
            "seen": list(finding.trace),
            "seen_again": list(example.again),
            "recipe": str(recipe),
            **{key: verdict[key] for key in _OF_THE_VERDICT if key in verdict},
        }
        written[name] = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        script = _SCRIPT.format(
            name=finding.name.replace('"', "'"), file=name, crosses=CROSSES, shut=SHUT,
            unknown=UNKNOWN,
        )  # fmt: skip
        written[_replay(number)] = script
    return written


def replays(examples: Iterable[Counterexample]) -> dict[str, str]:
    """Return by each finding's name the script among `files` that shows it again."""
    return {one.finding.name: _replay(number) for number, one in enumerate(examples, 1)}


def _replay(number: int) -> str:
    return f"replay-{number}.py"


def read(file: Path) -> dict[str, Any]:
    """Read one. Raises `NotFound`, `Usage` if it is none of ours."""
    try:
        document = json.loads(file.read_text())
        from_json(document["steps"])
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Usage(f"{file} is no counterexample of this version: {error}") from None
    if document.get("schema") != SCHEMA:
        raise Usage(f"{file}: schema {document.get('schema')!r}", hint=f"expected {SCHEMA}")
    return cast(dict[str, Any], document)


def replay(
    server: Scratch, document: Mapping[str, Any], checks: Iterable[Check]
) -> tuple[str, ...] | None:
    """Do it on a fresh server; return what gives the crossing away, None if nothing crosses.

    What breaks after it has crossed does not undo that.
    """
    drawn = {name: document[name] for name in ("seed", "effort", "cycles") if name in document}
    world = World(server, lambda _: None, check=document["check"], **drawn)
    broke: Exception | None = None
    try:
        if document["steps"]:
            run_steps(world, from_json(document["steps"]), document["witness"])
        else:
            for check in checks:
                if check.name == document["check"]:
                    check.run(world)
    except Exception as error:  # noqa: BLE001 - told below, unless it has crossed
        broke = error
    for found in world.found:
        if found.name == document["finding"]:
            return found.trace
    if broke is not None:
        raise broke
    return None


def main(file: Path) -> None:
    """Run one from its script."""
    parser = argparse.ArgumentParser(description=f"Replays {file.name} on a fresh server.")
    parser.add_argument("--recipe", type=Path, help="folder of the recipe, if it lies elsewhere")
    given = parser.parse_args()
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr)  # noqa: E731
    try:
        sys.exit(_main(file, given.recipe, say))
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing was shown
        say(f"it could not be tried: {told(error)}")
        sys.exit(UNKNOWN)


def _main(file: Path, recipe: Path | None, say: Callable[[str], None]) -> int:
    from isolation_checks.engine import CHECKS
    from warminfra.config import load
    from warminfra.service.composition import provider_package

    document = read(file)
    folder = recipe or Path(document["recipe"])
    if not folder.is_dir():
        raise NotFound(f"the recipe's folder {folder} is not here", hint="give it with --recipe")
    package = cast("AuditPackage", provider_package("keycloak"))
    with scratch(load().settings, package, folder, say) as server:
        trace = replay(server, document, CHECKS)
    if trace is None:
        print(f"it does not cross here: {document['finding']}")
        return SHUT
    print("\n".join([f"it crosses: {document['finding']}", *trace]))
    return CROSSES
