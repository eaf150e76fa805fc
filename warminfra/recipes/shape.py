"""Turns a merged compose file into the recipe's model; what does not fit becomes a fault.

The merged file may come from the engine's client or from our own merging; places always come from
ours, which alone has read the recipe's lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from warminfra.recipes.located import Items, Table
from warminfra.recipes.model import ConfigNeed, Mount, Network, Place, Port, Service, Volume

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

Note = Callable[[Place, str], None]
"""Notes a fault at a place."""


def where(ours: Table, *path: str) -> Place:
    """Return the place of the deepest part of `path` that our own reading knows."""
    place, found = ours.place, ours
    for key in path:
        if key not in found:
            break
        place = found.at(key)
        below = found[key]
        if not isinstance(below, Table):
            break
        found = below
    return place


def services(merged: Table, ours: Table, fault: Note) -> dict[str, Service]:
    """Return the services by name."""
    found = {}
    for name, body in _entries(merged, "services"):
        place = where(ours, "services", name)
        body = body if isinstance(body, Table) else Table(place)
        image = body.get("image")
        if not isinstance(image, str) or not image.strip():
            fault(place, f"service {name} has no image; expected image: NAME:TAG")
            image = ""
        deploy = body.get("deploy")
        deploy = deploy if isinstance(deploy, Table) else Table(place)
        check = body.get("healthcheck")
        check = check if isinstance(check, Table) else Table(place)
        disabled = str(check.get("disable", "")).lower() == "true"
        labels = _texts(deploy.get("labels"))
        base = ("services", name)
        found[name] = Service(
            name=name,
            image=image.strip(),
            place=place,
            replicas=_whole(deploy.get("replicas"), 1, where(ours, *base, "deploy"), fault),
            labels=labels,
            container_labels=_texts(body.get("labels")),
            networks=tuple(sorted(body.get("networks") or ("default",))),
            ports=tuple(_ports(body, name, ours, fault)),
            mounts=tuple(_mounts(body, name, ours)),
            secrets=_sources(body.get("secrets")),
            configs=_sources(body.get("configs")),
            environment=frozenset(_texts(body.get("environment"))),
            health_check=bool(check) and not disabled,
            health_interval=duration(str(check.get("interval") or "")),
            label_places=MappingProxyType(
                {key: where(ours, *base, "deploy", "labels", key) for key in labels}
            ),
        )
    return found


def networks(merged: Table, ours: Table, stack: str) -> dict[str, Network]:
    """Return the stack's networks by name."""
    return {
        name: Network(name, external, fixed, where(ours, "networks", name))
        for name, external, fixed, _ in _objects(merged, "networks", stack)
    }


def volumes(merged: Table, ours: Table, stack: str) -> dict[str, Volume]:
    """Return the stack's volumes by name."""
    return {
        name: Volume(name, external, fixed, where(ours, "volumes", name))
        for name, external, fixed, _ in _objects(merged, "volumes", stack)
    }


def configs(
    merged: Table, ours: Table, stack: str, folder: Path, versions: Mapping[str, str]
) -> dict[str, ConfigNeed]:
    """Return the stack's configs by name. `versions`: variable of each name, to its value."""
    found = {}
    for name, external, _, body in _objects(merged, "configs", stack):
        file = str(body.get("file") or "")
        inside = Path(file).is_absolute() and Path(file).is_relative_to(folder)
        found[name] = ConfigNeed(
            name=name,
            full_name=str(body.get("name") or f"{stack}_{name}"),
            version=versions.get(name, ""),
            external=external,
            file=str(Path(file).relative_to(folder)) if inside else file.removeprefix("./"),
            place=where(ours, "configs", name),
        )
    return found


def _objects(merged: Table, section: str, stack: str) -> list[tuple[str, bool, str, Table]]:
    """Return name, whether external, the engine's name if it is not the stack's, and the body."""
    found = []
    for name, body in _entries(merged, section):
        body = body if isinstance(body, Table) else Table(merged.place)
        external = body.get("external") is True or str(body.get("external")).lower() == "true"
        given = str(body.get("name") or (name if external else ""))
        found.append((name, external, "" if stack in given else given, body))
    return found


def _entries(merged: Table, section: str) -> list[tuple[str, Any]]:
    body = merged.get(section)
    return sorted(body.items()) if isinstance(body, Table) else []


def _ports(body: Table, name: str, ours: Table, fault: Note) -> list[Port]:
    section = where(ours, "services", name, "ports")
    places = _item_places(ours, name, "ports", "published")
    found = []
    for item in body.get("ports") or ():
        if not isinstance(item, Table):
            fault(section, f"service {name}: {str(item)!r} is no port; expected PUBLISHED:TARGET")
            continue
        place = places.get(text_of(item.get("published")), section)
        found.append(
            Port(
                published=_whole(item.get("published"), 0, place, fault),
                target=_whole(item.get("target"), 0, place, fault),
                mode=str(item.get("mode") or "ingress"),
                protocol=str(item.get("protocol") or "tcp"),
                place=place,
            )
        )
    return sorted(found, key=lambda port: (port.published, port.target, port.protocol))


def _mounts(body: Table, name: str, ours: Table) -> list[Mount]:
    section = where(ours, "services", name, "volumes")
    places = _item_places(ours, name, "volumes", "target")
    found = [
        Mount(
            kind=str(item.get("type") or "volume"),
            source=str(item.get("source") or ""),
            target=str(item.get("target") or ""),
            read_only=str(item.get("read_only", "")).lower() == "true",
            place=places.get(text_of(item.get("target")), section),
        )
        for item in body.get("volumes") or ()
        if isinstance(item, Table)
    ]
    return sorted(found, key=lambda mount: (mount.target, mount.source))


def _item_places(ours: Table, service: str, section: str, key: str) -> dict[str, Place]:
    body = ours.get("services", {}).get(service)
    items = body.get(section) if isinstance(body, Table) else None
    return {
        text_of(item.get(key)): place
        for item, place in (items.entries() if isinstance(items, Items) else ())
        if isinstance(item, Table)
    }


def _sources(items: Any) -> tuple[str, ...]:
    return tuple(sorted({str(item["source"]) for item in items or () if "source" in item}))


def _texts(table: Any) -> Mapping[str, str]:
    if not isinstance(table, Table):
        return MappingProxyType({})
    return MappingProxyType({key: text_of(value) for key, value in sorted(table.items())})


def text_of(value: Any) -> str:
    """Return a scalar as the engine writes it into labels and environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _whole(value: Any, default: int, place: Place, fault: Note) -> int:
    if value is None or value == "":
        return default
    try:
        return int(str(value))
    except ValueError:
        fault(place, f"{str(value)!r} is no whole number")
        return default


def duration(text: str) -> timedelta | None:
    """Return a duration such as `1m30s`; None if `text` is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
