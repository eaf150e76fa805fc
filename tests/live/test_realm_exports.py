"""Realm exports as Keycloak makes them, with everything that a realm can hold, become tenants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.exports import try_export
from testbed.installation import Installation
from testbed.rich_realm import APP, PEOPLE, exports

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def made(live_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of both ways to export."""
    return exports(tmp_path_factory.mktemp("exports"), live_cache)


@pytest.fixture(scope="module")
def installation(live_cache: Path) -> Iterator[Installation]:
    """One service for all of them."""
    with Installation.temporary() as started:
        started.up()
        yield started


@pytest.mark.parametrize("way", [0, 1], ids=["partial export", "kc.sh export"])
def test_ten_tenants_of_a_rich_export(
    installation: Installation, made: tuple[Path, Path], way: int
) -> None:
    """All that the realm declares is in each of them, its people log in, and no two of them share
    an id, a key or a secret, nor have they one of the realm that was exported."""
    file = made[way]
    assert b"**********" in file.read_bytes() or b"shop-secret-of-the-source" in file.read_bytes()
    trial = try_export(installation, f"{file},client={APP}" + ("" if way else ",user=amy"))
    assert trial.refused == ""
    assert trial.wrong == []
    assert trial.tenants == 10
    assert trial.logins == 10 * (len(PEOPLE) if way else 1)
    assert any("secrets" in line for line in trial.dropped)
    assert "signing and encryption keys" in trial.dropped


def test_a_whole_servers_export_is_an_array(
    installation: Installation, made: tuple[Path, Path], tmp_path: Path
) -> None:
    """Beside master its only realm is the one."""
    file = tmp_path / "all.json"
    file.write_text(json.dumps([{"realm": "master"}, json.loads(made[1].read_bytes())]))
    trial = try_export(installation, f"{file},client={APP}", leases=1)
    assert (trial.refused, trial.wrong, trial.logins) == ("", [], len(PEOPLE))


FLOW = {
    "alias": "mine",
    "providerId": "basic-flow",
    "topLevel": True,
    "builtIn": False,
    "authenticationExecutions": [
        {"authenticator": "acme-otp", "requirement": "REQUIRED", "priority": 1}
    ],
}
CODE = {"name": "p", "type": "js", "config": {"code": "x"}}


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ({"newer": {"a": 1}}, "newer: the server does not know it"),
        ({"accessTokenLifespan": "soon"}, "accessTokenLifespan: the server does not know it, or"),
        ({"clients": [{"clientId": "a"}, {"clientId": "b", "newer": 1}]}, "clients[1].newer: "),
        ({"components": {"org.keycloak.storage.UserStorageProvider": [{"providerId": "acme"}]}},
         "components: UserStorageProvider 'acme'"),
        ({"identityProviders": [{"alias": "x", "providerId": "acme"}]}, "x: 'acme'"),
        ({"clients": [{"clientId": "a", "protocol": "acme"}]}, "clients: a: protocol: 'acme'"),
        ({"clients": [{"clientId": "a", "authorizationServicesEnabled": True,
                       "authorizationSettings": {"policies": [CODE]}}]}, "policy 'p': 'js'"),
        ({"authenticationFlows": [FLOW]}, "authenticationFlows: mine: 'acme-otp'"),
        ({"passwordPolicy": "acme(3) and length(8)"}, "passwordPolicy: 'acme'"),
        ({"users": [{"username": "amy", "groups": ["/nobody"]}]}, "is in '/nobody'"),
        ({"users": [{"username": "amy", "clientRoles": {"x": ["y"]}}]}, "has roles of 'x'"),
        ({"browserFlow": "mine"}, "browserFlow: 'mine' is no flow of the file"),
    ],
)  # fmt: skip
def test_what_the_server_cannot_take_is_one_line(
    installation: Installation, tmp_path: Path, addition: dict[str, object], told: str
) -> None:
    """65, and the place in the file; the server itself would say "unknown error", if anything."""
    file = tmp_path / "realm.json"
    file.write_text(json.dumps({"realm": "bad", **addition}))
    trial = try_export(installation, str(file))
    assert trial.refused.startswith("65: "), trial.refused
    assert told in trial.refused
    assert len(trial.refused.splitlines()) == 1


@pytest.mark.parametrize("version", ["4.8.3.Final", "18.0.9.redhat-00001", "99.0.0", "odd"])
def test_what_the_server_does_without_is_told(
    installation: Installation, tmp_path: Path, version: str
) -> None:
    """Exports of other versions, with plain passwords, empty new fields and absent extensions."""
    mapper = {"name": "m", "protocol": "openid-connect", "protocolMapper": "acme", "config": {}}
    file = tmp_path / "realm.json"
    file.write_text(
        json.dumps(
            {
                "realm": "odd",
                "keycloakVersion": version,
                "newer": [],
                "loginTheme": "acme",
                "eventsListeners": ["acme"],
                "clients": [{"clientId": "a", "secret": "plain-text", "protocolMappers": [mapper]}],
                "users": [
                    {
                        "username": "amy",
                        "enabled": True,
                        "credentials": [{"type": "password", "value": "plain-text"}],
                    }
                ],
            }
        )
    )
    trial = try_export(installation, str(file), leases=1)
    assert (trial.refused, trial.wrong, trial.logins) == ("", [], 1)
    for told in ("newer: the server does not know it", "mapper acme:", "event listener acme:",
                 "login theme acme:", "secrets"):  # fmt: skip
        assert any(line.startswith(told) for line in trial.dropped), told
