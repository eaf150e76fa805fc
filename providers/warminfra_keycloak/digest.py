"""What of a running server a verdict depends on, as its view-only identity sees it.

Digests over names and settings, order and instance-specific ids taken out: two servers of the same
build and configuration have the same. The version itself is not shown to such an identity; the
distribution's own digest holds it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from keycloak.urls_patterns import URL_ADMIN_REALM, URL_ADMIN_SERVER_INFO

from warminfra_keycloak.connection import AdminConnection

_PER_INSTANCE = frozenset({"id", "containerId", "notBefore"})


def server(looker: AdminConnection) -> Mapping[str, str]:
    """Return name → value: enabled features, digest of the installed extensions, of master."""
    info = looker.get(URL_ADMIN_SERVER_INFO).json()
    master = looker.get(URL_ADMIN_REALM.format(**{"realm-name": "master"})).json()
    enabled = sorted(f["name"] for f in info.get("features", []) if f.get("enabled"))
    providers = {
        spi: sorted(found.get("providers", {})) for spi, found in info.get("providers", {}).items()
    }
    themes = {
        kind: sorted(theme["name"] for theme in found)
        for kind, found in info.get("themes", {}).items()
    }
    return {
        "keycloak.features": ",".join(enabled),
        "keycloak.extensions": _digest({"providers": providers, "themes": themes}),
        "keycloak.master": _digest(_plain(master)),
    }


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key not in _PER_INSTANCE}
    if isinstance(node, list):
        return sorted(
            (_plain(value) for value in node), key=lambda v: json.dumps(v, sort_keys=True)
        )
    return node


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
