"""The worked example of docs/isolation.md does what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isolation_checks.world import World
from tests.fake_scratch import FakeScratch

DOCUMENT = Path(__file__).parents[2] / "docs" / "isolation.md"


def example() -> dict[str, Any]:
    """Execute the Python blocks of the document, in order, as one module."""
    text = DOCUMENT.read_text().split("## Adding a check and its fault")[1]
    names: dict[str, Any] = {"__name__": "example"}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document
    return names


def test_the_example_check_sees_its_fault_and_nothing_else() -> None:
    """On a sound system no finding, with a control; with the fault planted, one; then none."""
    found = example()
    fake = FakeScratch()
    worlds = [World(fake.as_scratch(), lambda _: None) for _ in range(3)]
    found["Issuers"]().run(worlds[0])
    with found["MUTANT"].planted(fake.as_scratch()):
        found["Issuers"]().run(worlds[1])
    found["Issuers"]().run(worlds[2])
    assert [len(world.found) for world in worlds] == [0, 1, 0]
    assert worlds[0].controls == 1
    assert worlds[1].found[0].channel == found["MUTANT"].channel == "X5"
    assert fake.living == set()
