"""Finds what two runs of a recipe on one node would both want, and who can keep them apart.

A name that holds the stack's name, or a rule that holds the run's domain, is the run's own. All
else is shared by every run of the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from warminfra.recipes.model import (
    Collision,
    Mount,
    Network,
    Place,
    RecipeVersion,
    Separation,
    Service,
    Severity,
)

_ROUTER = re.compile(
    r"traefik\.(?P<protocol>http|tcp|udp)\.(?P<kind>\w+)\.(?P<name>[^.]+)\.(?P<rest>.+)"
)
_KINDS = {"routers": "router", "services": "router", "middlewares": "middleware"}
_HOST = re.compile(r"\b(?:Host|HostSNI|HostHeader)\(([^)]*)\)")
_PATTERN = re.compile(r"\b(?:HostRegexp|HostSNIRegexp)\(([^)]*)\)")
_ARGUMENT = re.compile(r"[`'\"]([^`'\"]*)[`'\"]")
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_HARMLESS_PATHS = ("/etc/localtime", "/etc/timezone")

_ONE_AT_A_TIME = "one run of the recipe after the other can have it"


def collisions(version: RecipeVersion, stack: str, domain: str) -> tuple[Collision, ...]:
    """Return the collisions of two runs, in the order of the files."""
    found: list[Collision] = []
    for service in version.services.values():
        found += _ports(service)
        found += _labels(service, stack, domain)
        for mount in service.mounts:
            found += _mount(service.name, mount)
    found += _objects(version, stack)
    return tuple(sorted(set(found), key=lambda one: (one.place, one.kind, one.what)))


def _ports(service: Service) -> Iterator[Collision]:
    for port in service.ports:
        if not port.published:
            continue
        kind = "host-port" if port.mode == "host" else "published-port"
        what = f"port {port.published}/{port.protocol} of the node"
        yield Collision(
            kind, service.name, what, Severity.BLOCKS, Separation.TURNS, _ONE_AT_A_TIME, port.place
        )


def _labels(service: Service, stack: str, domain: str) -> Iterator[Collision]:
    named: set[tuple[str, str]] = set()
    for key, value in service.labels.items():
        match = _ROUTER.fullmatch(key)
        if match is None:
            continue
        place = service.label_places.get(key, service.place)
        kind, name = _KINDS.get(match["kind"], ""), match["name"]
        own = stack in name or "${STACK_NAME}" in name
        if kind and not own and (kind, name) not in named:
            named.add((kind, name))
            yield Collision(
                kind,
                service.name,
                f"traefik {match['protocol']} {match['kind']} {name}",
                Severity.MIXES,
                Separation.NEVER,
                "the recipe has to put ${STACK_NAME} into the name",
                place,
            )
        if match["kind"] == "routers" and match["rest"] == "rule":
            yield from _rule(service.name, match["protocol"], value, domain, place)


def _rule(service: str, protocol: str, rule: str, domain: str, place: Place) -> Iterator[Collision]:
    hosts = [host for arguments in _HOST.findall(rule) for host in _ARGUMENT.findall(arguments)]
    if protocol == "tcp" and "*" in hosts:
        yield Collision(
            "tcp-catch-all",
            service,
            "a TCP router for every name (HostSNI(`*`)) on its entry point",
            Severity.BLOCKS,
            Separation.TURNS,
            _ONE_AT_A_TIME,
            place,
        )
    for host in hosts:
        if host not in ("", "*") and not (host == domain or host.endswith(f".{domain}")):
            yield Collision(
                "domain",
                service,
                f"the domain {host}, which is not the run's",
                Severity.MIXES,
                Separation.NEVER,
                "the recipe has to make the name from ${DOMAIN}, or the app's .env leave it out",
                place,
            )
    if _PATTERN.search(rule) and domain not in rule:
        yield Collision(
            "domain",
            service,
            "every domain that fits a pattern",
            Severity.MIXES,
            Separation.NEVER,
            "the recipe has to make the pattern from ${DOMAIN}",
            place,
        )


def _mount(service: str, mount: Mount) -> Iterator[Collision]:
    if mount.kind != "bind" or mount.source in _HARMLESS_PATHS:
        return
    if mount.source in _SOCKETS:
        kind, what, severity = "docker-socket", "the engine's socket", Severity.REACHES
    elif mount.source == "/":
        kind, what, severity = "host-path", "the root of the node's files", Severity.REACHES
    elif mount.read_only:
        kind, what, severity = "host-path", f"{mount.source} of the node, to read", Severity.MIXES
    else:
        kind, what, severity = "host-path", f"{mount.source} of the node", Severity.MIXES
    read_only = ", read-only" if mount.read_only and severity is Severity.REACHES else ""
    how = (
        "nobody can: who has it, has the node and every run on it"
        if severity is Severity.REACHES
        else "the recipe has to use a volume of the stack instead"
    )
    yield Collision(kind, service, what + read_only, severity, Separation.NEVER, how, mount.place)


def _objects(version: RecipeVersion, stack: str) -> Iterator[Collision]:
    for network in version.networks.values():
        if network.fixed_name:
            yield _network(version, network)
    for volume in version.volumes.values():
        if volume.fixed_name:
            yield _object("volume", volume.fixed_name, volume.external, volume.place)
    for config in version.configs.values():
        if stack not in config.full_name:
            yield _object("config", config.full_name, config.external, config.place)
    for secret in version.secrets.values():
        if stack not in secret.full_name:
            yield _object("secret", secret.full_name, secret.external, secret.place)


def _object(kind: str, name: str, external: bool, place: Place) -> Collision:
    if external:
        how = "every run has the same one; the recipe has to put ${STACK_NAME} into the name"
        return Collision(
            kind, "", f"the external {kind} {name}", Severity.MIXES, Separation.NEVER, how, place
        )
    return Collision(
        kind, "", f"the {kind} {name}", Severity.BLOCKS, Separation.TURNS, _ONE_AT_A_TIME, place
    )


def _network(version: RecipeVersion, network: Network) -> Collision:
    """Services of all runs see each other's names on a network that they share.

    Where only one service of the stack is attached, none of its fellows looks for it there.
    """
    on_it = sorted(s.name for s in version.services.values() if network.name in s.networks)
    what = f"the {'external ' if network.external else ''}network {network.fixed_name}"
    if len(on_it) > 1:
        what += f", where {' and '.join(on_it)} of every run answer to the same names"
        separation, how = Separation.TURNS, _ONE_AT_A_TIME
    elif network.external:
        separation, how = Separation.APART, "one service of each run is on it, told apart by labels"
    else:
        separation, how = Separation.TURNS, _ONE_AT_A_TIME
    return Collision("network", "", what, Severity.MIXES, separation, how, network.place)
