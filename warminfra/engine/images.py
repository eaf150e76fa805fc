"""`Engine` on Docker: its image store, pulls, and the containers that pin.

A pull goes by digest, so what is pulled is what was resolved, and its name with that digest is what
a Swarm task accepts without asking a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from warminfra.core.engine import EngineFacts, LocalContainer, LocalImage, PullEvent
from warminfra.core.errors import (
    EngineRefused,
    NotFound,
    RegistryRefused,
    StorageFull,
    Unreachable,
    WarminfraError,
)
from warminfra.engine.connection import Connected, connect, translated
from warminfra.engine.pause import NAME, pause_archive

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7"}
_PIN_MEMORY = 16 << 20
"""Bytes: the engine's own least is 6 MiB; the program takes a few pages."""
_PIN_TASKS = 32
"""The program is one; the runtime, which starts it within these limits, has threads of its own."""
_PIN_TRIES = 3
"""On a busy machine the runtime's first process may be gone before it is started."""

_NO = (
    "manifest unknown", "not found", "unauthorized", "denied", "manifest verification failed",
    "layer verification failed", "does not match", "no matching manifest", "invalid",
)  # fmt: skip
"""Words of a registry's sure no. All else in a pull may pass."""


class DockerImages(Connected):
    """One engine."""

    def facts(self) -> EngineFacts:
        with translated(self._host):
            info: dict[str, Any] = self._client.info()
        machine = str(info.get("Architecture", ""))
        registries = info.get("RegistryConfig") or {}
        named = [
            name
            for name, row in (registries.get("IndexConfigs") or {}).items()
            if not row.get("Secure", True)
        ]
        return EngineFacts(
            id=str(info.get("ID", "")),
            version=str(info.get("ServerVersion", "")),
            platform=f"{info.get('OSType', 'linux')}/{_ARCHITECTURES.get(machine, machine)}",
            root=str(info.get("DockerRootDir", "")),
            swarm_manager=bool((info.get("Swarm") or {}).get("ControlAvailable")),
            insecure=(*named, *(registries.get("InsecureRegistryCIDRs") or ())),
            mirrors=tuple(registries.get("Mirrors") or ()),
        )

    def images(self, *, sizes: bool = False) -> Sequence[LocalImage]:
        with translated(self._host):
            rows: list[dict[str, Any]] = self._client.images()
            found = []
            for row in rows:
                with suppress(NotFound):  # removed meanwhile
                    found.append(self._image(row, sizes))
        return found

    def _image(self, row: Mapping[str, Any], sizes: bool) -> LocalImage:
        with translated(str(row["Id"])):
            inspected: dict[str, Any] = self._client.inspect_image(row["Id"])  # type: ignore[no-untyped-call]
            history: list[dict[str, Any]] = []
            if sizes:
                history = self._client.history(row["Id"])  # type: ignore[no-untyped-call]
        layers = tuple((inspected.get("RootFS") or {}).get("Layers") or ())
        return LocalImage(
            id=str(row["Id"]),
            tags=_names(inspected.get("RepoTags")),
            digests=_names(inspected.get("RepoDigests")),
            size=int(inspected.get("Size", 0)),
            layers=layers,
            layer_sizes=layer_sizes(history, len(layers)) if sizes else (),
        )

    def pull(
        self,
        repository: str,
        digest: str,
        credentials: Mapping[str, str] | None,
        heard: Callable[[PullEvent], None],
    ) -> None:
        # A connection of its own: dropping it is how a pull that is not wanted any more ends.
        client = connect(self._host)
        what = f"{repository}@{digest}"
        try:
            with translated(what):
                lines = client.pull(
                    repository,
                    tag=digest,
                    stream=True,
                    decode=True,
                    auth_config=dict(credentials or {}),
                )
                told = ""
                for line in lines:  # to its end, after an error too: then the connection is free
                    told = told or str(line.get("error", ""))
                    if not told:
                        heard(_event(line))
                if told:
                    raise _pull_error(what, told)
        except (EngineRefused, NotFound) as error:
            raise _pull_error(what, error.message) from None
        finally:
            client.close()

    def tag(self, image: str, name: str) -> None:
        repository, _, tag = name.rpartition(":")
        with translated(name):
            self._client.tag(image, repository, tag)

    def remove(self, name: str) -> None:
        with suppress(NotFound), translated(name):
            self._client.remove_image(name, force=False, noprune=False)

    def containers(self) -> Sequence[LocalContainer]:
        with translated(self._host):
            rows: list[dict[str, Any]] = self._client.containers(all=True)
        return [
            LocalContainer(
                id=str(row["Id"]),
                image=str(row["ImageID"]),
                running=str(row["State"]) in ("running", "paused", "restarting"),
                labels=dict(row.get("Labels") or {}),
            )
            for row in rows
        ]

    def pin(self, image: str, labels: Mapping[str, str]) -> str:
        for _ in range(_PIN_TRIES - 1):
            try:
                return self._pin(image, labels)
            except EngineRefused as error:
                if "stopped process" not in error.message:
                    raise
        return self._pin(image, labels)

    def _pin(self, image: str, labels: Mapping[str, str]) -> str:
        from docker.types import LogConfig

        archive = pause_archive(self.facts().platform)
        with translated(f"pin of {image}"):
            client = self._client
            limits = client.create_host_config(
                network_mode="none",
                restart_policy={"Name": "always"},
                mem_limit=_PIN_MEMORY,
                pids_limit=_PIN_TASKS,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                log_config=LogConfig(type="none"),
            )
            made = client.create_container(
                image,
                entrypoint=[f"/{NAME}"],
                command=[],
                user="65534:65534",
                labels=dict(labels),
                host_config=limits,
                healthcheck={"test": ["NONE"]},
            )
            container = str(made["Id"])
            try:
                client.put_archive(container, "/", archive)
                client.start(container)
            except BaseException:
                with suppress(WarminfraError):
                    self.unpin(container)
                raise
        return container

    def unpin(self, container: str) -> None:
        with suppress(NotFound), translated(container):
            self._client.remove_container(container, force=True, v=True)


def layer_sizes(history: Sequence[Mapping[str, Any]], layers: int) -> tuple[int, ...]:
    """Return the bytes of each layer, lowest first, as an image's history tells them.

    The history has a step for each layer and for what made none; it does not say which. A step with
    bytes made one; of the others those made one whose command touches files.
    """
    steps = list(reversed(history))
    empty = layers - sum(1 for step in steps if step.get("Size"))
    sizes = []
    for step in steps:
        made = str(step.get("CreatedBy", ""))
        touches = any(word in made for word in ("WORKDIR", "COPY", "ADD", "RUN", "/bin/sh -c "))
        if step.get("Size"):
            sizes.append(int(step["Size"]))
        elif empty > 0 and touches and "#(nop) " not in made.replace("#(nop) WORKDIR", ""):
            sizes.append(0)
            empty -= 1
    return tuple([*sizes, *[0] * layers][:layers])


def _names(found: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in found or () if "<none>" not in name))


def _event(line: Mapping[str, Any]) -> PullEvent:
    detail = line.get("progressDetail") or {}
    return PullEvent(
        layer=str(line.get("id", "")),
        status=str(line.get("status", "")),
        current=int(detail.get("current") or 0),
        total=int(detail.get("total") or 0),
    )


def _pull_error(what: str, told: str) -> WarminfraError:
    told = " ".join(told.split())
    if "no space left" in told or "quota exceeded" in told:
        return StorageFull(f"{what}: {told}", hint="free space on the engine's disk")
    if "toomanyrequests" not in told and any(word in told for word in _NO):
        return RegistryRefused(f"{what}: {told}", hint="see the name and `docker login`")
    return Unreachable(f"{what}: {told}", hint="try again; what is there already is kept")
