"""Connects to a Docker engine, and turns its errors into ours, in this one place.

docker-py is an optional part of the installation: without it, or without an engine, whoever asks
gets one line that says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warminfra.core.errors import (
    ConfigInvalid,
    Conflict,
    EngineRefused,
    NotFound,
    StorageFull,
    Unreachable,
)

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT_HOST = "unix:///var/run/docker.sock"
CALL_TIMEOUT = 60
"""Seconds for an answer, and between two lines of one that is streamed."""


def engine_host(configured: str = "") -> str:
    """Return the engine's address: as configured, as `DOCKER_HOST` says, or Docker's default."""
    return configured or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def connect(host: str, *, timeout: int = CALL_TIMEOUT) -> APIClient:
    """Return a client of the engine at `host`; nothing is sent yet.

    Raises `Unreachable` if docker-py is not installed or the engine does not answer, and
    `ConfigInvalid` if `host` is no address: docker-py alone knows what is one.
    """
    with translated(host):
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import parse_host

        try:
            parse_host(host)
        except (ValueError, DockerException) as error:
            raise ConfigInvalid(
                f"the engine's address {host!r} is malformed: {error}",
                hint="set engine.host or DOCKER_HOST to one such as tcp://127.0.0.1:2375",
            ) from None
        return APIClient(base_url=host, version="auto", timeout=timeout)


class Connected:
    """Something that talks to one engine. The connection is made at the first call."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._made: APIClient | None = None

    @property
    def _client(self) -> APIClient:
        if self._made is None:
            self._made = connect(self._host)
        return self._made

    def close(self) -> None:
        """Close the connection."""
        if self._made is not None:
            self._made.close()
            self._made = None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the errors of docker-py and of its connection into ours."""
    try:
        from docker.errors import APIError, DockerException
        from requests import RequestException
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise Unreachable(
            "docker-py is not installed, so no engine can be used",
            hint="pip install 'warminfra[docker]'",
        ) from None
    try:
        yield
    except APIError as error:
        raise refused(what, error.status_code, str(error.explanation or error)) from None
    except (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError) as error:
        raise Unreachable(
            f"{what}: the engine does not answer: {_reason(error)}",
            hint="start it, or set engine.host or DOCKER_HOST",
        ) from None


def refused(
    what: str, status: int | None, told: str
) -> NotFound | Conflict | StorageFull | Unreachable | EngineRefused:
    """Return the error that an engine's refusal is."""
    if "no space left on device" in told or "disk quota exceeded" in told:
        return StorageFull(f"{what}: {told}", hint="free space on the engine's disk")
    if status == 404:
        return NotFound(f"{what}: {told}")
    if status == 409:
        return Conflict(f"{what}: {told}")
    if status == 503 or "not a swarm manager" in told:
        return Unreachable(f"{what}: {told}", hint="`docker swarm init` makes this node a manager")
    return EngineRefused(f"{what}: {told}")


def _reason(error: Exception) -> str:
    text = str(error)
    for known in ("Connection refused", "No such file or directory", "Permission denied"):
        if known in text:
            return known.lower()
    return " ".join(text.split())[:200]
