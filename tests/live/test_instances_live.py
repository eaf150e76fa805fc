"""A real Keycloak as an instance: its keys are its own, its identities small, its data durable."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from warminfra.core.ids import InstallationId, InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.secret import Secret
from warminfra.instances.local import LocalLauncher
from warminfra_keycloak.takeover import BOOTSTRAP_CLIENT

pytestmark = pytest.mark.live

OWN = InstanceId("kc-own")


def silent(_: str) -> None:
    """Take a line of progress and drop it."""


@dataclass(frozen=True)
class Account:
    """Calls as one service account of master."""

    base: str
    client_id: str
    secret: Secret

    def token(self) -> httpx.Response:
        return httpx.post(
            f"{self.base}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.secret.reveal(),
            },
            timeout=10,
        )

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.base}/admin/realms{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token().json()['access_token']}"},
            timeout=30,
        )


def account(running: RunningInstance, name: str) -> Account:
    identity = running.access.identity
    return Account(
        running.access.base_url, identity[f"{name}_id"].reveal(), identity[f"{name}_secret"]
    )


def key_ids(running: RunningInstance) -> set[str]:
    """Return the ids of all keys of master, the symmetric ones too."""
    keys = account(running, "looker").call("GET", "/master/keys").json()["keys"]
    return {key["kid"] for key in keys}


def public_keys(running: RunningInstance) -> set[str]:
    """Return the public keys that the server shows the world."""
    jwks = httpx.get(f"{running.access.base_url}/realms/master/protocol/openid-connect/certs")
    return {key["n"] for key in jwks.json()["keys"]}


@pytest.fixture(scope="module")
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def launcher(new_launcher: Callable[[Path], LocalLauncher], own_state: Path) -> LocalLauncher:
    """A launcher of the module's own."""
    return new_launcher(own_state)


@pytest.fixture(scope="module")
def own(launcher: LocalLauncher) -> Iterator[RunningInstance]:
    """A second copy of the same snapshot, to be compared and killed."""
    yield launcher.start(OWN, silent)
    launcher.stop(OWN, discard=True)


def process_of(state: Path) -> psutil.Process:
    record = json.loads((state / "instances" / OWN / "process.json").read_text())
    return psutil.Process(record["process"][0])


def test_maker_makes_realms_and_nothing_else(
    running_instance: RunningInstance, live_installation: InstallationId
) -> None:
    """The maker's credential creates and deletes its realms and cannot touch master."""
    maker = account(running_instance, "maker")
    assert maker.client_id == f"warminfra-{live_installation}-maker"
    name = f"probe-{live_installation}"
    assert maker.call("POST", "", {"realm": name, "enabled": True}).status_code == 201
    assert maker.call("GET", f"/{name}/clients").status_code == 200
    assert maker.call("DELETE", f"/{name}").status_code == 204
    for path in ("/master/clients", "/master/users", "/master/keys", "/master/components"):
        assert maker.call("GET", path).status_code == 403, path
    body = {"clientId": "mine", "serviceAccountsEnabled": True}
    assert maker.call("POST", "/master/clients", body).status_code == 403
    assert maker.call("PUT", "/master", {"realm": "master"}).status_code == 403


def test_tokens_do_not_list_rights(running_instance: RunningInstance) -> None:
    """The maker's token does not grow with the realms that it made."""
    token = account(running_instance, "maker").token().json()["access_token"]
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert not {"realm_access", "resource_access"} & claims.keys()


def test_looker_only_looks(running_instance: RunningInstance) -> None:
    """The looker sees master's clients and can change nothing there, nor make a realm."""
    looker = account(running_instance, "looker")
    clients = looker.call("GET", "/master/clients").json()
    ids = {client["clientId"]: client["id"] for client in clients}
    assert "master-realm" in ids
    assert BOOTSTRAP_CLIENT not in ids
    assert looker.call("POST", "", {"realm": "mine"}).status_code == 403
    assert looker.call("POST", "/master/clients", {"clientId": "mine"}).status_code == 403
    assert looker.call("DELETE", f"/master/clients/{ids['admin-cli']}").status_code == 403
    assert looker.call("PUT", "/master", {"realm": "master"}).status_code == 403
    assert looker.call("GET", "/master/users").status_code == 403


def test_our_accounts_log_in_by_their_secret_only(running_instance: RunningInstance) -> None:
    """Neither identity serves for a login by password or browser."""
    for name in ("maker", "looker"):
        who = account(running_instance, name)
        assert who.token().status_code == 200
        assert replace(who, secret=Secret("guessed")).token().status_code == 401
        answer = httpx.post(
            f"{who.base}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": who.client_id,
                "client_secret": who.secret.reveal(),
                "username": "admin",
                "password": "admin",
            },
        )
        assert answer.json()["error"] == "unauthorized_client"


def test_bootstrap_client_is_dead(running_instance: RunningInstance, live_cache: Path) -> None:
    """The snapshot's secret, which every copy had, opens nothing on a server in use."""
    for secret in live_cache.glob("snapshots/keycloak-*/bootstrap"):
        who = Account(
            running_instance.access.base_url, BOOTSTRAP_CLIENT, Secret(secret.read_text())
        )
        assert who.token().status_code == 401


def test_two_copies_share_no_key_and_no_secret(
    running_instance: RunningInstance, own: RunningInstance
) -> None:
    """Two servers from one snapshot have no signing, encryption or session key in common."""
    assert len(key_ids(own)) == 4
    assert not key_ids(own) & key_ids(running_instance)
    assert not public_keys(own) & public_keys(running_instance)
    assert own.access.identity["maker_secret"] != running_instance.access.identity["maker_secret"]
    foreign = replace(account(running_instance, "looker"), base=own.access.base_url)
    assert foreign.token().status_code == 401


def test_server_listens_on_loopback_only(own: RunningInstance, own_state: Path) -> None:
    """No port of the server can be reached from another machine."""
    listening = [
        found.laddr
        for found in process_of(own_state).net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_secrets_are_in_no_log_and_no_process_list(
    own: RunningInstance, own_state: Path, live_cache: Path
) -> None:
    """Neither identity's secrets nor the snapshot's are in logs, arguments or environment."""
    process = process_of(own_state)
    shown = [*process.cmdline(), *process.environ().values()]
    shown += [log.read_text() for log in (own_state / "instances" / OWN).glob("server.log*")]
    secrets = [own.access.identity[name].reveal() for name in ("maker_secret", "looker_secret")]
    secrets += [path.read_text() for path in live_cache.glob("snapshots/keycloak-*/bootstrap")]
    for text in shown:
        assert not [secret for secret in secrets if secret in text]


def test_next_service_adopts(
    own: RunningInstance, new_launcher: Callable[[Path], LocalLauncher], own_state: Path
) -> None:
    """Another service process takes over the running server as it is."""
    adopted = new_launcher(own_state).adopt(OWN)
    assert adopted == replace(own, fresh_data=False)


def test_kill_and_restart_keeps_data(
    own: RunningInstance, launcher: LocalLauncher, own_state: Path
) -> None:
    """A realm whose creation was acknowledged right before kill -9 is there after the restart."""
    assert account(own, "maker").call("POST", "", {"realm": "kept"}).status_code == 201
    process = process_of(own_state)
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)
    assert not launcher.alive(own)
    again = launcher.start(OWN, silent)
    assert again.access == own.access
    assert again.incarnation != own.incarnation
    assert not again.fresh_data
    assert account(again, "maker").call("GET", "/kept").status_code == 200
