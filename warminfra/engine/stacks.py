"""`Stacks` on Docker: what a Swarm stack is made of, found by its exact label, removed by id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from warminfra.core.engine import STACK_LABEL, RunningImage, StackKind, StackObject
from warminfra.core.errors import NotFound, Unreachable
from warminfra.core.secret import Secret
from warminfra.engine.connection import Connected, translated

_SERVICE_LABEL = "com.docker.swarm.service.name"


class DockerStacks(Connected):
    """One Swarm manager."""

    def ready(self) -> None:
        with translated(self._host):
            info: dict[str, Any] = self._client.info()
        if not (info.get("Swarm") or {}).get("ControlAvailable"):
            raise Unreachable(
                f"{self._host}: this engine is no Swarm manager",
                hint="`docker swarm init`, or set engine.host",
            )

    def objects(self, stack: str) -> Sequence[StackObject]:
        only = {"label": f"{STACK_LABEL}={stack}"}
        client = self._client
        with translated(f"stack {stack}"):
            listed = {
                StackKind.SERVICE: client.services(filters=only),  # type: ignore[no-untyped-call]
                StackKind.TASK: client.containers(all=True, filters=only),
                StackKind.NETWORK: client.networks(filters=only),
                StackKind.SECRET: client.secrets(filters=only),
                StackKind.CONFIG: client.configs(filters=only),  # type: ignore[no-untyped-call]
                StackKind.VOLUME: client.volumes(filters=only).get("Volumes") or [],
            }
        return [
            _object(kind, row)
            for kind, rows in listed.items()
            for row in rows
            if _labels(kind, row).get(STACK_LABEL) == stack
        ]

    def remove(self, found: StackObject) -> None:
        client = self._client
        removers: Mapping[StackKind, Callable[[str], object]] = {
            StackKind.SERVICE: client.remove_service,
            StackKind.TASK: lambda name: client.remove_container(name, force=True, v=True),
            StackKind.NETWORK: client.remove_network,
            StackKind.SECRET: client.remove_secret,
            StackKind.CONFIG: client.remove_config,
            StackKind.VOLUME: client.remove_volume,
        }
        with suppress(NotFound), translated(f"{found.kind} {found.name}"):
            removers[found.kind](found.id)

    def make_secret(self, name: str, value: Secret, labels: Mapping[str, str]) -> str:
        with translated(f"secret {name}"):
            made = self._client.create_secret(name, value.reveal().encode(), labels=dict(labels))
            return str(made["ID"])

    def images(self, stack: str) -> Sequence[RunningImage]:
        only = {"label": f"{STACK_LABEL}={stack}"}
        with translated(f"stack {stack}"):
            services: list[dict[str, Any]] = self._client.services(  # type: ignore[no-untyped-call]
                filters=only
            )
            containers: list[dict[str, Any]] = self._client.containers(filters=only)
        newest = {
            str(row["Labels"].get(_SERVICE_LABEL)): str(row["ImageID"])
            for row in sorted(containers, key=lambda row: int(row["Created"]))
        }
        return [
            RunningImage(
                service=str(row["Spec"]["Name"]),
                told=str(row["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]),
                runs=newest.get(str(row["Spec"]["Name"]), ""),
            )
            for row in services
        ]

    def memory(self, stack: str) -> int:
        client = self._client
        taken = 0
        with translated(f"stack {stack}"):
            for row in client.containers(filters={"label": f"{STACK_LABEL}={stack}"}):
                with suppress(NotFound):  # it has ended since
                    found: dict[str, Any] = client.stats(row["Id"], stream=False, one_shot=True)
                    taken += int(found.get("memory_stats", {}).get("usage", 0))
        return taken


def _labels(kind: StackKind, row: Mapping[str, Any]) -> Mapping[str, str]:
    specified = kind in (StackKind.SERVICE, StackKind.SECRET, StackKind.CONFIG)
    return ((row["Spec"] if specified else row).get("Labels")) or {}


def _object(kind: StackKind, row: Mapping[str, Any]) -> StackObject:
    if kind is StackKind.VOLUME:
        return StackObject(kind, row["Name"], row["Name"], _time(row["CreatedAt"]))
    if kind is StackKind.NETWORK:
        return StackObject(kind, row["Id"], row["Name"], _time(row["Created"]))
    if kind is StackKind.TASK:
        created = datetime.fromtimestamp(int(row["Created"]), UTC)
        return StackObject(kind, row["Id"], ", ".join(row["Names"]), created)
    return StackObject(kind, row["ID"], row["Spec"]["Name"], _time(row["CreatedAt"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
