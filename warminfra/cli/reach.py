"""`doctor reach`: whether a container finds the server, trusts it, and is told the same issuer."""

from __future__ import annotations

import json
from pathlib import Path

from warminfra.cli import session
from warminfra.cli.checks import Finding
from warminfra.core.errors import Unreachable
from warminfra.core.models import JsonObject

_CA = "ca.pem"
_STEPS = {
    "name": "resolves",
    "connection": "answers",
    "certificate": "trusted",
    "answer": "discovery",
    "issuer": "issuer",
}
"""Trouble of the probe → the check that fails of it, in the order in which they are made."""


def look_from_container(network: str, image: str, *, with_hosts: bool) -> list[Finding]:
    """Return what each step found, up to the first that fails.

    Raises `Unreachable` (no service, no server, no engine), `NotFound` (network, image) or
    `EngineRefused`.
    """
    from warminfra.engine import reach_probe
    from warminfra.engine.connection import engine_host
    from warminfra.engine.throwaway import Throwaway

    with session.client() as client:
        status = client.status()
    reach, url = status["reach"], _server_url(status)
    if reach["mode"] == "host" and not session.loaded().settings.keycloak.url:
        remedy = 'set reach.mode to "node" or "front" and restart the service'
        return [Finding("fail", "mode", "host: servers are on loopback, for this host", remedy)]
    issuer = f"{url}/realms/master"
    files = {_CA: _trusted(reach)}
    container = Throwaway(engine_host(session.loaded().settings.engine.host))
    try:
        said = container.run(
            Path(reach_probe.__file__),
            [f"{issuer}/.well-known/openid-configuration", issuer, f"/warminfra/{_CA}"],
            network=network,
            files=files,
            hosts=reach["hosts"] if with_hosts else {},
            image=image,
        )
    finally:
        container.close()
    return _findings(json.loads(said), url, network, reach)


def _findings(seen: JsonObject, url: str, network: str, reach: JsonObject) -> list[Finding]:
    trouble, found = seen["trouble"], seen["found"]
    good = {
        "name": f"{url} is at {', '.join(seen['addresses'])} on network {network}",
        "connection": url,
        "certificate": "by the CA that leases hand out"
        if reach["ca_file"]
        else "by a CA that the system knows",
        "answer": "200",
        "issuer": found,
    }
    entries = " ".join(f"{name}:{address}" for name, address in reach["hosts"].items())
    remedies = {
        "name": f"give containers the host entry {entries}: deploy with the file that `lease "
        "--stack --overlay` writes (doctor reach --hosts looks so)"
        if entries
        else "give the name to a name server that containers ask",
        "connection": f"let the firewall pass what comes from network {network}, or set "
        "reach.address to an address that its containers reach",
        "certificate": "see that nothing stands before the server, or name its CA in reach.ca_file",
        "answer": "see that the proxy leads to this server",
        "issuer": f"leases name {url}: let the proxy lead to this server, under reach.public_url",
    }
    told: list[Finding] = []
    for step, check in _STEPS.items():
        if step == trouble:
            return [*told, Finding("fail", check, found, remedies[step])]
        if step != "certificate" or url.startswith("https:"):
            told.append(Finding("ok", check, good[step]))
    return told


def _server_url(status: JsonObject) -> str:
    for row in status["instances"]:
        if row["url"]:
            return str(row["url"])
    told = "; ".join(f"{row['id']} is {row['state']}" for row in status["instances"])
    raise Unreachable(
        f"no server runs: {told or 'no instance yet'}", hint="`warminfra up`, or take a lease"
    )


def _trusted(reach: JsonObject) -> str:
    """Return the PEM of what a container is to trust: the CA that leases hand out, or the store."""
    from warminfra.instances.reach import system_store

    return Path(reach["ca_file"]).read_text() if reach["ca_file"] else system_store()
