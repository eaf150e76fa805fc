"""One started server in the hands of the lease machine."""

from __future__ import annotations

from dataclasses import dataclass

from warminfra.core.ids import InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.ports import Provider


@dataclass(frozen=True, slots=True)
class Server:
    """A running instance with its provider."""

    running: RunningInstance
    provider: Provider

    @property
    def id(self) -> InstanceId:
        return self.running.id
