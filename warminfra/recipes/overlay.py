"""A compose overlay that lets a stack's containers find and trust the lease's server.

Each service gets the host entries of the lease, and the CA as a Swarm config under one path, to
which the recipe's own names for it (`REQUESTS_CA_BUNDLE`, …) point inside the containers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warminfra.core.errors import ConfigInvalid

CA_IN_CONTAINER = "/etc/warminfra/ca.pem"
_CONFIG = "warminfra_ca"


def in_containers(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the lease's environment names that hold the CA's path, with the one in containers."""
    tls = document.get("tls") or {}
    paths = {tls[name] for name in ("ca_file", "bundle_file") if tls.get(name)}
    return {name: CA_IN_CONTAINER for name, value in document["env"].items() if value in paths}


def overlay(
    document: Mapping[str, Any], services: Iterable[str], stack: str, version: str | None
) -> str:
    """Return the overlay for `stack`, YAML; `version` is that of the recipe's compose files.

    Raises `ConfigInvalid` if no container can reach the lease's server.
    """
    import yaml

    host = urlsplit(document["issuer"]).hostname or ""
    if host == "localhost" or host.startswith("127."):
        raise ConfigInvalid(
            f"no container reaches {document['issuer']}",
            hint='set reach.mode to "node" or "front" and restart the service',
        )
    service: dict[str, Any] = {}
    found: dict[str, Any] = {} if version is None else {"version": version}
    if hosts := document.get("hosts"):
        service["extra_hosts"] = [f"{name}:{address}" for name, address in sorted(hosts.items())]
    if tls := document.get("tls"):
        bundle = Path(tls["bundle_file"])
        # A config never changes: another content needs another name.
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest()[:8]
        found["configs"] = {_CONFIG: {"name": f"{stack}_{_CONFIG}_{digest}", "file": str(bundle)}}
        service["configs"] = [{"source": _CONFIG, "target": CA_IN_CONTAINER, "mode": 0o444}]
        service["environment"] = in_containers(document)
    found["services"] = dict.fromkeys(sorted(services), service) if service else {}
    return yaml.dump(found, Dumper=_plain(yaml), sort_keys=False)


def written_version(file: Path) -> str | None:
    """Return the `version` of a compose file: files are merged only if theirs are the same."""
    import yaml

    found = yaml.safe_load(file.read_text())
    return found.get("version") if isinstance(found, dict) else None


def _plain(yaml: Any) -> Any:
    """Return a dumper that writes each service out: aliases are harder to read than lines."""

    class Plain(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Plain
