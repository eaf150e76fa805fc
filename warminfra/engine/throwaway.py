"""A container that runs one small Python file and is gone.

No image has to be there: the container's is an empty one, made for it and removed with it, and it
sees the machine's own Python and libraries read-only. So it needs an engine on this machine; with
an image that has a `python3` of its own, any engine does.
"""

from __future__ import annotations

import io
import secrets
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from warminfra.core.errors import EngineRefused, NotFound, WarminfraError
from warminfra.engine.connection import Connected, translated

LABEL = "warminfra.throwaway"
_REPOSITORY = "warminfra-empty"
_FOLDER = "warminfra"
_MEMORY = 128 << 20
_LIBRARIES = ("/usr", "/lib", "/lib64", "/nix/store")
"""Where programs of a machine and their libraries lie; what is not there is left out."""


class Throwaway(Connected):
    """Runs Python files in containers of one engine. Errors as those of `Engine`."""

    def run(
        self,
        program: Path,
        arguments: Sequence[str],
        *,
        network: str,
        files: Mapping[str, str],
        hosts: Mapping[str, str],
        image: str = "",
        timeout: int = 60,
    ) -> str:
        """Run `program` with `arguments` on `network` and return its stdout.

        `files` lie beside it, in `/warminfra`; `hosts` are entries for its `/etc/hosts`. Raises
        `NotFound` (no such network or image) or `EngineRefused` (it ended with an error).
        """
        contents = {program.name: program.read_text(), **files}
        python = "python3" if image else str(Path(sys.executable).resolve())
        command = [python, "-I", f"/{_FOLDER}/{program.name}", *arguments]
        client = self._client
        with translated(f"network {network}"):
            client.inspect_network(network)  # a Swarm's own answer would not tell what is wrong
        with self._image(image) as name, translated(f"a container on network {network}"):
            made = client.create_container(
                name,
                entrypoint=command,
                command=[],
                user="65534:65534",
                labels={LABEL: program.stem},
                host_config=client.create_host_config(
                    network_mode=network,
                    extra_hosts=dict(hosts),
                    binds=[] if image else [f"{place}:{place}:ro" for place in _places()],
                    mem_limit=_MEMORY,
                    pids_limit=16,
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                ),
                healthcheck={"test": ["NONE"]},
            )
            container = str(made["Id"])
            try:
                client.put_archive(container, "/", _archive(contents))
                client.start(container)
                code = int(client.wait(container, timeout=timeout)["StatusCode"])
                out: bytes = client.logs(container, stdout=True, stderr=False)
                if code:
                    said: bytes = client.logs(container, stdout=False, stderr=True)
                    raise EngineRefused(
                        f"{program.name} ended with {code}: {_last_line(said)}",
                        hint="name an image that has a python3",
                    )
                return out.decode()
            finally:
                with suppress(WarminfraError), translated(container):
                    client.remove_container(container, force=True, v=True)

    @contextmanager
    def _image(self, given: str) -> Iterator[str]:
        if given:
            yield given
            return
        client, tag = self._client, secrets.token_hex(4)
        name = f"{_REPOSITORY}:{tag}"
        with translated(name):
            client.import_image_from_data(_archive({}), repository=_REPOSITORY, tag=tag)
        try:
            yield name
        finally:
            with suppress(NotFound), translated(name):
                client.remove_image(name)


def _places() -> list[str]:
    """Return the folders that a Python of this machine needs, none within another."""
    wanted = [Path(place) for place in (*_LIBRARIES, sys.base_prefix) if Path(place).exists()]
    return [
        str(place)
        for place in wanted
        if not any(place != other and place.is_relative_to(other) for other in wanted)
    ]


def _archive(contents: Mapping[str, str]) -> bytes:
    """Return a tar archive of the folder with these files, readable for everybody."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo(_FOLDER)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, text in contents.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}")
            entry.size, entry.mode = len(data), 0o444
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _last_line(said: bytes) -> str:
    lines: list[Any] = said.decode(errors="replace").strip().splitlines()
    return str(lines[-1])[:200] if lines else "it said nothing"
