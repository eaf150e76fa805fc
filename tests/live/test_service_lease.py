"""The life of a lease on the real server: taken, logged in through, kept, lost, given back."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from testbed.browser import Session, login, logout
from testbed.installation import Installation, wait_until
from testbed.relying_party import free_port, running
from testbed.soak.judge import secrets_of
from warminfra.client.client import RUN_SOCKET
from warminfra.client.connection import Connection
from warminfra.leasing.settings import LeasingSettings

pytestmark = pytest.mark.live

RECIPE = "lasuite-docs"
WAITS = {"Prefer": "wait=60"}
OTHER_RECIPE = '[sso]\nprovider = "keycloak"\n[[sso.users]]\nusername = "carol"\n'


def take(warm: Installation, *options: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Lease one tenant; return its document."""
    document: dict[str, Any] = warm.json("lease", "--recipe", RECIPE, "--reveal", *options, env=env)
    return document


def handle(document: dict[str, Any]) -> dict[str, str]:
    """Return the environment that proves the lease."""
    return {"WARMINFRA_LEASE_HANDLE": document["handle"]}


def give_back(warm: Installation, document: dict[str, Any]) -> None:
    """Release, and wait for the proof that all is gone."""
    warm.run("release", "--wait", document["id"], env=handle(document))


@contextmanager
def logged_in(document: dict[str, Any], port: int) -> Iterator[Session]:
    """Start the stand-in app on the port of the lease's domain, with alice logged in."""
    with (
        running({**os.environ, **document["env"]}, port=port) as app,
        login(app.url, "alice", document["users"][0]["password"]) as session,
    ):
        yield session


def remembered(warm: Installation) -> int:
    """Return how many revisions the server's cache of realms holds, those of dead ones included."""
    (ports,) = warm.ports().values()
    told = httpx.get(f"http://127.0.0.1:{ports['management']}/metrics").text
    (count,) = re.findall(
        r'^vendor_statistics_approximate_entries_in_memory\{cache="realmRevisions",.*\} (.*)$',
        told,
        re.MULTILINE,
    )
    return int(float(count))


def test_a_person_logs_in_and_the_end_is_proven(warm: Installation) -> None:
    """A login through a real relying party works while the lease lives, and no longer."""
    port = free_port()
    document = take(warm, "--domain", f"127.0.0.1:{port}")
    with logged_in(document, port) as session:
        assert session.email == document["users"][0]["email"]
        assert session.name == "Alice Moreau"
        logout(session)
    give_back(warm, document)
    assert httpx.get(document["endpoints"]["discovery"]).status_code == 404
    wait_until(lambda: warm.tenants()["creating"] == 0, 30.0, "the refill")
    assert warm.lies() == []


def test_the_server_has_room_for_what_it_remembers_of_the_dead(warm: Installation) -> None:
    """What its cache keeps of tenants that are gone fits for as many as an instance may make.

    It is counted over whole lives: refilled, leased with a domain, logged in through, taken down.
    """
    lives, before = 3, remembered(warm)
    for _ in range(lives):
        port = free_port()
        document = take(warm, "--domain", f"127.0.0.1:{port}")
        with logged_in(document, port) as session:
            logout(session)
        give_back(warm, document)
    wait_until(lambda: warm.tenants()["creating"] == 0, 30.0, "the refill")
    each = (remembered(warm) - before) / lives
    (server,) = warm.keycloak_pids()
    (room,) = [
        2 * int(option.partition("=")[2])
        for option in psutil.Process(server).cmdline()
        if option.startswith("--cache-embedded-realms-max-count=")
    ]
    assert 0 < each * LeasingSettings().replace_after <= room


def test_every_lease_says_that_sharing_is_unproven(warm: Installation) -> None:
    """Policy `unproven` is told in the document and in `status`, never silently used."""
    document = take(warm)
    assert (document["mode"], document["verdict"]) == ("shared", None)
    assert "unproven" in document["mode_reason"]
    assert any("unproven" in warning for warning in warm.json("status")["warnings"])
    give_back(warm, document)


def test_the_same_key_gets_the_same_lease(warm: Installation, tmp_path: Path) -> None:
    """A repeated request is answered with the lease it has; for another recipe it is refused."""
    key = {"WARMINFRA_KEY": "a-key-of-one-run-and-no-other"}
    first, second = take(warm, env=key), take(warm, env=key)
    assert first["id"] == second["id"]
    assert first["handle"] == second["handle"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "warminfra.toml").write_text(OTHER_RECIPE)
    warm.enroll(other, "--pool-min", "0")
    refused = warm.run("lease", "--recipe", "other", "--reveal", env=key, check=False)
    assert refused.returncode == 79, refused.stderr
    assert RECIPE in refused.stderr
    warm.run("unenroll", "other", "--yes")
    give_back(warm, first)


def test_only_who_is_there_gets_what_is_made_for_it(warm: Installation, tmp_path: Path) -> None:
    """A request is held while its tenant is made: who stays has the lease in such an answer, who
    hangs up meanwhile has none."""
    recipe = tmp_path / "slow"
    recipe.mkdir()
    (recipe / "warminfra.toml").write_text(OTHER_RECIPE)
    warm.enroll(recipe, "--pool-min", "0", "--pool-max", "0")
    with warm.client() as look:

        def ready() -> int:
            (slow,) = [row for row in look.recipes() if row["name"] == "slow"]
            return int(slow["pool"]["ready"])

        with closing(Connection(warm.runtime_dir / RUN_SOCKET)) as staying:
            wish = {"recipe": "slow", "key": secrets.token_hex(16)}
            while True:  # A busy machine takes longer than an answer is held.
                answer = staying.request("POST", "/v1/leases", wish, headers=WAITS, timeout=30.0)
                if answer.status != 202:
                    break
        assert answer.status == 201, answer.text[:80]
        give_back(warm, answer.body)
        waiting = asked(warm, "slow")
        wait_until(lambda: look.status()["waiting"], 10.0, "a request that waits", poll=0.002)
        waiting.close()
        wait_until(ready, 30.0, "its tenant")
        assert "slow" not in {row["recipe"] for row in look.leases()}
    warm.run("unenroll", "slow", "--yes")


def asked(warm: Installation, recipe: str) -> socket.socket:
    """Ask for a lease, ready to wait; return the connection on which the answer would come."""
    wish = json.dumps({"recipe": recipe, "key": secrets.token_hex(16)})
    told = {"Host": "localhost", "Content-Type": "application/json", **WAITS}
    told["Content-Length"] = str(len(wish))
    lines = ("POST /v1/leases HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()))
    asking = socket.socket(socket.AF_UNIX)
    asking.connect(str(warm.runtime_dir / RUN_SOCKET))
    asking.sendall(("\r\n".join((*lines, "", "")) + wish).encode())
    return asking


def test_two_leases_share_nothing(warm: Installation) -> None:
    """Two leases of one recipe have no secret, client, issuer and signing key in common."""
    one, two = take(warm), take(warm)
    assert not set(secrets_of(one)) & set(secrets_of(two))
    assert one["client"]["id"] != two["client"]["id"]
    assert one["issuer"] != two["issuer"]
    keys = [
        {key["n"] for key in httpx.get(each["endpoints"]["jwks"]).json()["keys"]}
        for each in (one, two)
    ]
    assert all(keys)
    assert not keys[0] & keys[1]
    give_back(warm, one)
    give_back(warm, two)


def test_a_wrong_handle_does_nothing(warm: Installation) -> None:
    """Neither show, renew nor release works with another lease's handle (77); the lease lives."""
    mine, theirs = take(warm), take(warm)
    for verb in ("show", "renew", "release"):
        refused = warm.run(verb, mine["id"], env=handle(theirs), check=False)
        assert refused.returncode == 77, (verb, refused.stderr)
        assert len(refused.stderr.strip().splitlines()) == 1
        assert theirs["handle"] not in refused.stderr
    warm.run("renew", mine["id"], env=handle(mine))
    give_back(warm, mine)
    give_back(warm, theirs)


def test_a_lease_that_nobody_renews_is_taken_back(warm: Installation) -> None:
    """Within ten seconds of its deadline it is in teardown; its holder is told with 74."""
    document = take(warm, "--ttl", "2s")

    def ended() -> bool:
        return document["id"] not in {row["id"] for row in warm.json("leases")["leases"]}

    wait_until(ended, 12.0, "the end of a lease of two seconds")
    told = warm.run("renew", document["id"], env=handle(document), check=False)
    assert told.returncode == 74, told.stderr
    assert "expired" in told.stderr
    give_back(warm, document)


def test_a_domain_may_come_later(warm: Installation) -> None:
    """`set-domain` puts the domain into the client's redirect URIs at the server."""
    document = take(warm)
    query = {
        "client_id": document["client"]["id"],
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": "https://docs.ci.example/callback",
    }
    before = httpx.get(document["endpoints"]["authorization"], params=query)
    assert before.status_code == 400, "a redirect to somewhere else is refused"
    warm.run("set-domain", document["id"], "docs.ci.example", env=handle(document))
    after = httpx.get(document["endpoints"]["authorization"], params=query)
    assert after.status_code == 200
    give_back(warm, document)


def test_secrets_are_nowhere_but_in_the_document(warm: Installation, tmp_path: Path) -> None:
    """After a whole life no log, argument or environment of ours holds a secret of the lease.

    The file that a run asked for is its own, with mode 0600.
    """
    file = tmp_path / "lease.json"
    warm.run("lease", "--recipe", RECIPE, "--to", str(file), "-o", "json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document = json.loads(file.read_text())
    warm.run("show", document["id"], "--reveal", env=handle(document))
    give_back(warm, document)
    secrets = secrets_of(document)
    assert len(secrets) >= 4
    logs = [path.read_text(errors="replace") for path in warm.state_dir.rglob("*.log")]
    assert logs
    told = [*logs]
    service = psutil.Process(warm.service_pid())
    for pid in (service.pid, *warm.keycloak_pids()):
        process = psutil.Process(pid)
        told += [" ".join(process.cmdline()), str(process.environ())]
    for secret in secrets:
        assert not any(secret in text for text in told)


def test_a_lease_in_ci_is_not_printed(warm: Installation) -> None:
    """In a CI a document on stdout is refused before anything is leased."""
    refused = warm.run("lease", "--recipe", RECIPE, env={"CI": "true"}, check=False)
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    assert "--reveal" in refused.stderr
    assert warm.json("leases")["leases"] == []
