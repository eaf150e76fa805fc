"""More than one warm instance, and none at all while nobody may use one, on real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.installation import Installation, wait_until
from tests.live.test_service_lease import give_back, take

pytestmark = pytest.mark.live

CONFIG = """
[instances]
warm = 2
spares = 0
park_after = "1s"
[pool]
min = 1
max = 1
"""


def states(installation: Installation) -> list[str]:
    """Return the states of the warm instances."""
    rows = installation.json("status")["instances"]
    return [row["state"] for row in rows if row["kind"] == "warm"]


def server_of(document: dict[str, Any]) -> str:
    return str(document["issuer"]).split("/realms/")[0]


def test_two_instances_share_the_load_and_rest_together(live_cache: Path) -> None:
    """Leases are spread over both; a revert stops both once their leases have ended, with their
    data; lifted, they are back and agree with the ledger."""
    with Installation.temporary(config=CONFIG) as installation:
        installation.up()
        installation.enroll()
        wait_until(lambda: states(installation) == ["ready", "ready"], 60.0, "both instances")
        documents = []
        for _ in range(4):
            # From the pool, which the emptier of both refills.
            installation.wait_ready(1)
            documents.append(take(installation))
        loads = [server_of(document) for document in documents]
        assert sorted(map(loads.count, set(loads))) == [2, 2], loads
        installation.run("revert", "--why", "for the test")
        for document in documents:
            assert httpx.get(document["endpoints"]["discovery"]).status_code == 200
            give_back(installation, document)
        wait_until(lambda: states(installation) == ["parked", "parked"], 60.0, "both to be parked")
        wait_until(lambda: not installation.keycloak_pids(), 30.0, "both servers' end")
        installation.run("lift")
        wait_until(lambda: states(installation) == ["ready", "ready"], 90.0, "both to be back")
        document = take(installation)
        assert server_of(document) in loads, "the same servers under the same addresses"
        give_back(installation, document)
