"""Who we are at a registry: Docker's own configuration and its credential helpers.

docker-py reads both; a helper gets the registry's name on its standard input, and no secret is ever
in an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warminfra.core.errors import ConfigInvalid
from warminfra.core.secret import Secret


class Credentials:
    """Looks up the login of a registry, each once."""

    def __init__(self, config: str | None = None) -> None:
        """`config`: path of a config.json; None: where Docker looks (`DOCKER_CONFIG`, the home)."""
        from docker.auth import load_config

        self._config: Any = load_config(config)
        self._found: dict[str, Mapping[str, Secret]] = {}

    def of(self, domain: str) -> Mapping[str, Secret]:
        """Return `username` and `password`, or `identitytoken`, or nothing.

        Raises `ConfigInvalid` if a credential helper fails.
        """
        if domain not in self._found:
            self._found[domain] = self._look_up(domain)
        return self._found[domain]

    def _look_up(self, domain: str) -> Mapping[str, Secret]:
        from docker.auth import INDEX_NAME
        from docker.errors import DockerException

        try:
            entry = self._config.resolve_authconfig(domain or INDEX_NAME) or {}
        except DockerException as error:
            raise ConfigInvalid(
                f"the credential helper for {domain or INDEX_NAME} failed: {error}",
                hint="see credHelpers and credsStore in Docker's config.json",
            ) from None
        # docker-py writes a helper's answer with other names than a file's entry.
        lowered = {key.lower(): value for key, value in entry.items()}
        names = ("username", "password", "identitytoken")
        return {name: Secret(str(lowered[name])) for name in names if lowered.get(name)}


def for_engine(credentials: Mapping[str, Secret]) -> dict[str, str] | None:
    """Return the login as the engine's API wants it, None if there is none."""
    return {name: value.reveal() for name, value in credentials.items()} or None
