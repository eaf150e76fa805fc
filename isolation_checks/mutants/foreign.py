"""Loads somebody else's mutant: a Python file that names one `MUTANT`.

It is code, and runs with the rights of whoever audits; only the prover loads it, for its scratch
installation.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from isolation_checks.events import CHANNELS
from isolation_checks.mutants.base import Mutant
from isolation_checks.mutants.catalogue import SPECIFICATION
from isolation_checks.stealth import FORMS
from warminfra.core.errors import Usage

NAME = "MUTANT"


def load(file: Path) -> Mutant:
    """Return the file's mutant. Raises `Usage` if there is none, or it does not fit."""
    spec = importlib.util.spec_from_file_location(f"mutant_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise Usage(f"{file} is no Python file", hint="--mutant FILE.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Usage(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    mutant = getattr(module, NAME, None)
    if not isinstance(mutant, Mutant):
        raise Usage(
            f"{file} names no {NAME}",
            hint=f"{NAME} = Mutant(id, title, channel, planted), see docs/isolation.md",
        )
    if mutant.channel not in CHANNELS:
        raise Usage(f"{file}: no channel {mutant.channel!r}", hint="X1 to X16")
    unknown = set(mutant.forms) - set(FORMS)
    if unknown:
        raise Usage(f"{file}: no form {min(unknown)!r}", hint=", ".join(FORMS))
    if mutant.id in SPECIFICATION:
        raise Usage(f"{file}: {mutant.id} is one of ours", hint="give another id")
    return mutant
