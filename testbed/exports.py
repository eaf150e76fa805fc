"""Tries realm exports as recipes bring them.

    python -m testbed.exports FILE[,realm=NAME][,client=CLIENT][,user=NAME]…

Each file is enrolled as it is, beside a `warminfra.toml` of two lines, and leased ten times. In
every tenant each person of the file logs in through the login page; what the server has of the ten
tenants is compared pair by pair and with the file: ids, keys, secrets. What the file declares and a
tenant lacks is told. After the release nothing is left.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx

from testbed.installation import Installation, wait_until
from testbed.page_login import log_in
from testbed.realm_contents import declared, identity
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.provider import MAKER

LEASES = 10
DOMAIN = "exports.example.test"
RECIPE = "tried"


@dataclass(slots=True)
class Trial:
    """How one export fared. `wrong` is empty if all was as it should be."""

    name: str
    refused: str = ""
    """What `enroll` said if it took none of it."""
    dropped: list[str] = field(default_factory=list)
    logins: int = 0
    tenants: int = 0
    wrong: list[str] = field(default_factory=list)


def try_export(installation: Installation, argument: str, leases: int = LEASES) -> Trial:
    """Enrol, lease, log in, compare, release."""
    name, _, rest = argument.partition(",")
    choice = dict(part.split("=", 1) for part in rest.split(",") if part)
    file = Path(name)
    trial = Trial(file.name)
    folder = _recipe(installation.folder, file, choice)
    done = installation.run("enroll", RECIPE, str(folder), check=False)
    if done.returncode:
        trial.refused = f"{done.returncode}: {done.stderr.strip()}"
        return trial
    said = "warminfra: left out of the realm file: "
    trial.dropped = [
        line.removeprefix(said) for line in done.stderr.splitlines() if line.startswith(said)
    ]
    documents = [_lease(installation) for _ in range(leases)]
    try:
        _look(installation, trial, _realm(file, choice), documents)
    finally:
        _give_back(installation, trial, documents)
    return trial


def _recipe(scratch: Path, file: Path, choice: dict[str, str]) -> Path:
    folder = scratch / RECIPE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copyfile(file, folder / "realm.json")
    lines = ["[pool]", "min = 0", "max = 0", "[sso]", 'realm_file = "realm.json"']
    if "realm" in choice:
        lines.append(f'realm = "{choice["realm"]}"')
    if "client" in choice:
        lines += ["[sso.client]", f'realm_client = "{choice["client"]}"']
    if "user" in choice:  # a partial export has none
        lines += ["[[sso.users]]", f'username = "{choice["user"]}"']
    (folder / "warminfra.toml").write_text("\n".join(lines) + "\n")
    return folder


def _realm(file: Path, choice: dict[str, str]) -> dict[str, Any]:
    found = json.loads(file.read_bytes())
    realms = found if isinstance(found, list) else [found]
    wanted = choice.get("realm")
    fit = [r for r in realms if (r["realm"] == wanted if wanted else r["realm"] != "master")]
    chosen: dict[str, Any] = (fit or realms)[0]
    return chosen


def _lease(installation: Installation) -> dict[str, Any]:
    document: dict[str, Any] = installation.json(
        *("lease", "--recipe", RECIPE, "--domain", DOMAIN, "--ttl", "10m", "--reveal")
    )
    return document


def _look(
    installation: Installation, trial: Trial, realm: dict[str, Any], documents: list[dict[str, Any]]
) -> None:
    in_file = identity(realm)
    app = next(
        (line.split()[1] for line in trial.dropped if "is taken for the app's" in line), None
    )
    seen: list[tuple[str, frozenset[str]]] = []
    with closing(_maker(installation)) as maker:
        for document in documents:
            tenant = document["tenant"]
            trial.tenants += 1
            for user in document["users"]:
                said = log_in(document, user, f"https://{DOMAIN}/callback")
                trial.logins += not said
                trial.wrong += [f"{tenant}: {user['username']}: {said}"] if said else []
            found = _contents(maker, tenant)
            lacking = declared(realm, app) - declared(found, document["client"]["id"])
            trial.wrong += [f"{tenant} lacks {what}" for what in sorted(lacking)]
            seen.append((tenant, identity(found) | _of_document(document)))
    for tenant, ids in seen:
        trial.wrong += [f"{tenant} has of the file: {what[:24]}…" for what in sorted(ids & in_file)]
    for (one, ids), (other, theirs) in combinations(seen, 2):
        trial.wrong += [f"{one} and {other} share {what[:24]}…" for what in sorted(ids & theirs)]


def _contents(maker: AdminConnection, tenant: str) -> dict[str, Any]:
    """Return all that the server shows of a realm: its export, users, keys and secrets."""
    home = f"admin/realms/{tenant}"
    found: dict[str, Any] = maker.send(
        *("POST", f"{home}/partial-export"),
        params={"exportClients": "true", "exportGroupsAndRoles": "true"},
        timeout=30.0,
    ).json()
    found["users"] = maker.get(f"{home}/users", params={"max": "1000"}).json()
    organizations = maker.get(f"{home}/organizations", allow=(400, 403, 404))
    found["organizations"] = organizations.json() if organizations.is_success else []
    found["keys"] = maker.get(f"{home}/keys").json()
    found["secrets"] = [
        maker.get(f"{home}/clients/{client['id']}/client-secret", allow=(400, 404)).json()
        for client in found["clients"]
        if not client.get("publicClient") and not client.get("bearerOnly")
    ]
    return found


def _of_document(document: dict[str, Any]) -> frozenset[str]:
    return frozenset(
        [document["client"]["id"], document["client"]["secret"], document["handle"]]
        + [user["password"] for user in document["users"]]
    )


def _give_back(installation: Installation, trial: Trial, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        handle = {"WARMINFRA_LEASE_HANDLE": document["handle"]}
        installation.run("release", document["id"], env=handle)
    for document in documents:
        handle = {"WARMINFRA_LEASE_HANDLE": document["handle"]}
        installation.run("release", "--wait", document["id"], env=handle)
        status = httpx.get(document["endpoints"]["discovery"]).status_code
        trial.wrong += [f"{document['tenant']} is still there"] if status != 404 else []
    installation.run("unenroll", RECIPE, "--yes")
    wait_until(lambda: not any(_at_work(installation)), 60.0, "the last teardowns")
    trial.wrong += [f"left behind: {line}" for line in installation.lies()]


def _at_work(installation: Installation) -> Iterator[int]:
    counts = installation.tenants()
    yield from (counts[state] for state in ("creating", "ready", "retiring"))


def _maker(installation: Installation) -> AdminConnection:
    (access,) = installation.access().values()
    return AdminConnection(
        access.base_url, access.identity[f"{MAKER}_id"].reveal(), access.identity[f"{MAKER}_secret"]
    )


def main(arguments: list[str]) -> int:
    """Try each, tell of each; 1 if anything was wrong."""
    bad = 0
    with Installation.temporary() as installation:
        installation.up()
        for argument in arguments:
            trial = try_export(installation, argument)
            print(f"== {trial.name}")
            for line in trial.dropped:
                print(f"   left out: {line}")
            if trial.refused:
                print(f"   refused, {trial.refused}")
            else:
                print(f"   {trial.tenants} tenants, {trial.logins} logins")
            for line in trial.wrong:
                print(f"   WRONG: {line}")
            sys.stdout.flush()
            bad += bool(trial.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
