"""Reads the realm export that a recipe may bring. What is taken from it, its provider decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warminfra.recipes.faults import Faults

_KEY, _REALM = ("sso", "realm_file"), ("sso", "realm")


def read_realm(faults: Faults, folder: Path, name: str, wanted: str) -> Mapping[str, Any] | None:
    """Return the realm in `name` below `folder`, or None after noting why not.

    A file with several realms, as a whole server's export is, needs `wanted`, unless only one of
    them is not master.
    """
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
    realms = realm if isinstance(realm, list) else [realm]
    if not realms or not all(isinstance(one, dict) for one in realms):
        faults.add_elsewhere(f"{path}:1: not an object; expected a realm export")
        return None
    return _chosen(faults, name, realms, wanted)


def _chosen(
    faults: Faults, name: str, realms: list[Mapping[str, Any]], wanted: str
) -> Mapping[str, Any] | None:
    names = [str(one.get("realm", "")) for one in realms]
    if wanted:
        fit = [one for one in realms if one.get("realm") == wanted]
    else:
        fit = realms[:1] if len(realms) == 1 else [o for o in realms if o.get("realm") != "master"]
    if len(fit) == 1:
        return fit[0]
    what = f"no realm {wanted!r} is" if wanted else f"{len(realms)} realms are"
    faults.add(_REALM if wanted else _KEY, f"{what} in {name!r}", f"realm = one of {names}")
    return None
