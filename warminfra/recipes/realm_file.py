"""Reads the realm export that a recipe may bring. What is taken from it, its provider decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warminfra.recipes.faults import Faults

_KEY = ("sso", "realm_file")


def read_realm(faults: Faults, folder: Path, name: str) -> Mapping[str, Any] | None:
    """Return the JSON object in `name` below `folder`, or None after noting why not."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        faults.add(_KEY, f"{name!r} leads out of the recipe", "a file in the recipe's folder")
        return None
    if not path.is_file():
        faults.add(_KEY, f"{name!r} is not there", "a file in the recipe's folder")
        return None
    try:
        realm = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        faults.add_elsewhere(f"{path}:{error.lineno}: broken JSON: {error.msg.lower()}")
        return None
    except UnicodeDecodeError:
        faults.add_elsewhere(f"{path}:1: not UTF-8 text")
        return None
    except RecursionError:
        faults.add_elsewhere(f"{path}:1: nested too deeply; expected a realm export")
        return None
    except OSError as error:
        faults.add(_KEY, f"{name!r} cannot be read: {error.strerror}")
        return None
    if not isinstance(realm, dict):
        faults.add_elsewhere(f"{path}:1: not an object; expected a realm export")
        return None
    return realm
