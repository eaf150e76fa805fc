"""One started server in the hands of the lease machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from warminfra.core.ids import InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.ports import Condemns, Provider


@dataclass(frozen=True, slots=True)
class Server:
    """A running instance with its provider."""

    running: RunningInstance
    provider: Provider

    @property
    def id(self) -> InstanceId:
        return self.running.id

    @property
    def condemner(self) -> Condemns | None:
        """The provider, if it can condemn.

        By name: what the prover puts before a provider passes calls on by their names.
        """
        return cast(Condemns, self.provider) if hasattr(self.provider, "condemn") else None
