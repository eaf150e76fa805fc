"""Lifetime in pipelines on the real server: bound processes, keys of runs, holds."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from testbed.installation import Installation, wait_until
from tests.live.test_service_lease import RECIPE, give_back, handle, take

pytestmark = pytest.mark.live


def leased(warm: Installation) -> set[str]:
    """Return the ids of the active leases."""
    return {row["id"] for row in warm.json("leases")["leases"]}


def test_a_lease_ends_with_the_process_that_it_is_bound_to(warm: Installation) -> None:
    """Within a second of its kill -9; a process that is not there is refused before anything."""
    with subprocess.Popen(["sleep", "600"]) as holder:
        document = take(warm, "--bind-pid", str(holder.pid), "--ttl", "30m")
        time.sleep(1.0)  # it has been watched for a while
        assert document["id"] in leased(warm)
        with warm.client() as client:
            holder.kill()
            took = wait_until(
                lambda: document["id"] not in {row["id"] for row in client.leases()},
                10.0,
                "the end of a bound lease",
                poll=0.02,
            )
    assert took < 1.0, took
    refused = warm.run(
        *("lease", "--recipe", RECIPE, "--reveal", "--bind-pid", str(holder.pid)), check=False
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (66, 1), refused.stderr
    told = warm.run("renew", document["id"], env=handle(document), check=False)
    assert told.returncode == 74
    assert f"its process {holder.pid} died" in told.stderr
    give_back(warm, document)


def test_self_is_the_shell_that_calls(warm: Installation) -> None:
    """A script's lease lives as long as the script."""
    script = f'warminfra lease --recipe {RECIPE} --bind-pid self --reveal -o json; echo "."; read x'
    with subprocess.Popen(
        ["sh", "-c", script],
        env=dict(warm.env),
        cwd=warm.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        text = "".join(iter(shell.stdout.readline, ".\n"))
        document = json.loads(text)
        time.sleep(1.5)  # three looks of the reaper
        assert document["id"] in leased(warm)
        shell.communicate("\n", timeout=30)
    wait_until(lambda: document["id"] not in leased(warm), 5.0, "the end of the script's lease")
    give_back(warm, document)


def test_a_run_s_key_outlives_the_service_and_releases_all(warm: Installation) -> None:
    """One secret for all slots; killed and started again, the service still knows it."""
    key = {"WARMINFRA_KEY": "the-secret-of-run-7-and-no-other"}
    slots = [take(warm, "--run", "7", "--slot", slot, env=key) for slot in ("a", "b")]
    warm.kill_service()
    warm.up()
    again = take(warm, "--run", "7", "--slot", "a", env=key)
    assert (again["id"], again["handle"]) == (slots[0]["id"], slots[0]["handle"])
    wrong = {"WARMINFRA_KEY": "another-secret-of-the-same-length"}
    refused = warm.run("release", "--run", "7", env=wrong, check=False)
    assert refused.returncode == 77, refused.stderr
    assert {one["id"] for one in slots} <= leased(warm)
    warm.run("release", "--run", "7", "--wait", env=key)
    assert not {one["id"] for one in slots} & leased(warm)
    for document in slots:
        assert httpx.get(document["endpoints"]["discovery"]).status_code == 404


def test_a_failed_run_s_tenant_is_held_until_it_is_released(warm: Installation) -> None:
    """The code stays the command's; the tenant serves on after a restart of the service, is shown
    with its end, and goes when it is released."""
    ran = warm.run(
        "exec", "--recipe", RECIPE, "--run", "r-9", "--on-failure", "hold:10m", "--",
        "sh", "-c", "exit 7", check=False,
    )  # fmt: skip
    assert ran.returncode == 7, ran.stderr
    file = Path(ran.stderr.split("its document is ")[1].split(";")[0])
    document = json.loads(file.read_text())
    assert document["handle"] not in ran.stderr
    warm.kill_service()
    warm.up()
    (row,) = [row for row in warm.json("leases")["leases"] if row["id"] == document["id"]]
    assert row["held_until"]
    assert document["id"] in warm.run("status").stdout
    assert httpx.get(document["endpoints"]["discovery"]).status_code == 200
    warm.run("release", document["id"], "--handle-file", str(file), "--wait")
    assert httpx.get(document["endpoints"]["discovery"]).status_code == 404
    assert not file.exists()


def test_a_hold_beyond_the_budget_is_refused_with_the_reason(warm: Installation) -> None:
    """75, with the leases that are held; the lease itself lives on."""
    documents = [take(warm) for _ in range(4)]
    for document in documents[:3]:
        warm.run("hold", document["id"], "--for", "5m", env=handle(document))
    refused = warm.run("hold", documents[3]["id"], env=handle(documents[3]), check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (75, 1), refused.stderr
    assert documents[0]["id"] in refused.stderr
    assert documents[3]["id"] in leased(warm)
    for document in documents:
        give_back(warm, document)


def test_a_reboot_ends_what_was_bound(warm: Installation) -> None:
    """A service that comes up under another boot id ends bound leases and keeps the others."""
    bound = take(warm, "--bind-pid", str(os.getpid()))
    free = take(warm)
    warm.kill_service()
    with closing(sqlite3.connect(warm.ledger_path)) as ledger, ledger:
        ledger.execute("UPDATE leases SET boot_id = 'of-the-boot-before' WHERE state = 'active'")
    warm.up()
    told = warm.run("renew", bound["id"], env=handle(bound), check=False)
    assert told.returncode == 74
    assert "rebooted" in told.stderr
    warm.run("renew", free["id"], env=handle(free))
    give_back(warm, bound)
    give_back(warm, free)
