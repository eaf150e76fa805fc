"""Pins: one container for each image that a recipe needs, which runs and does nothing.

A prune removes stopped containers first and then every image that no container has; so what keeps
an image must run. A pin carries its installation's id and the image's name; whatever pin is not in
the holdings is removed, whatever is missing is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warminfra.core.engine import LocalContainer
from warminfra.core.errors import NotFound
from warminfra.core.ports import Engine
from warminfra.images.holding import Holdings

PIN_LABEL = "warminfra.pin"
IMAGE_LABEL = "warminfra.pin.image"


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins of one installation."""

    engine: Engine
    owner: str
    """What tells our pins from those of another installation on the same engine."""

    def settle(self, holdings: Holdings) -> tuple[int, int]:
        """Start the pins that are missing, remove those that are too many; return both counts.

        An image that is not there is passed over: `repair` pulls it first.
        """
        wanted = {entry.image for entry in holdings.needed() if entry.image}
        containers = self.engine.containers()
        ours = self.of(containers)
        good = {pin.image: pin.id for pin in ours if pin.running and pin.image in wanted}
        removed = [pin.id for pin in ours if pin.id not in good.values()]
        for container in removed:
            self.engine.unpin(container)
        missing = sorted(wanted - good.keys())
        started = 0
        for image in missing:
            try:
                self.engine.pin(image, {PIN_LABEL: self.owner, IMAGE_LABEL: image})
                started += 1
            except NotFound:
                continue
        return started, len(removed)

    def of(self, containers: Sequence[LocalContainer]) -> list[LocalContainer]:
        """Return our pins among `containers`."""
        return [found for found in containers if found.labels.get(PIN_LABEL) == self.owner]


def is_pin(container: LocalContainer) -> bool:
    """Say whether a container is a pin, of whatever installation."""
    return PIN_LABEL in container.labels
