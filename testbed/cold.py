"""The other side of every comparison: a Keycloak of one's own for one run, as it is done today.

`start-dev` of the official distribution on empty data, its image (here: the unpacked files) already
there; then the run's realm with the same client and users, by the master admin, with Keycloak's
defaults.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from testbed.installation import LASUITE_DOCS, wait_until
from testbed.relying_party import free_port
from warminfra.config.settings import KEYCLOAK_SHA256, KEYCLOAK_VERSION
from warminfra.recipes.reader import read_recipe
from warminfra.recipes.render import render_env
from warminfra_keycloak.archive import obtain_archive, unpack
from warminfra_keycloak.java import find_java

READY_WITHIN = 180.0


@dataclass(frozen=True)
class ColdKeycloak:
    """A server that was started for one run. `ready_s` is the time from its start to health."""

    base_url: str
    ready_s: float
    admin: str
    password: str
    pid: int

    def realm(self, domain: str) -> tuple[dict[str, str], str, float]:
        """Make the run's realm by one POST; return its environment, alice's password, seconds."""
        settings = read_recipe(LASUITE_DOCS)
        secret, password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        body = {
            "realm": "run",
            "enabled": True,
            "clients": [
                {
                    "clientId": "docs",
                    "secret": secret,
                    "redirectUris": [
                        uri.replace("{domain}", domain) for uri in settings.client.redirect_uris
                    ],
                    "attributes": {"post.logout.redirect.uris": "+"},
                    **settings.client.settings,
                }
            ],
            "users": [
                {
                    "username": user.username,
                    "enabled": True,
                    "email": f"{user.username}@example.org",
                    "emailVerified": True,
                    "firstName": user.username.capitalize(),
                    "lastName": "Example",
                    "credentials": [{"type": "password", "value": password}],
                }
                for user in settings.users
            ],
        }
        started = time.monotonic()
        with httpx.Client(base_url=self.base_url, timeout=60.0, trust_env=False) as http:
            token = http.post(
                "/realms/master/protocol/openid-connect/token",
                data={
                    "grant_type": "password",
                    "client_id": "admin-cli",
                    "username": self.admin,
                    "password": self.password,
                },
            )
            token.raise_for_status()
            made = http.post(
                "/admin/realms",
                json=body,
                headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            )
            made.raise_for_status()
        seconds = time.monotonic() - started
        issuer = f"{self.base_url}/realms/run"
        oidc = f"{issuer}/protocol/openid-connect"
        document = {
            "issuer": issuer,
            "domain": domain,
            "endpoints": {
                "discovery": f"{issuer}/.well-known/openid-configuration",
                "authorization": f"{oidc}/auth",
                "token": f"{oidc}/token",
                "userinfo": f"{oidc}/userinfo",
                "jwks": f"{oidc}/certs",
                "end_session": f"{oidc}/logout",
                "introspection": f"{oidc}/token/introspect",
            },
            "client": {"id": "docs", "secret": secret},
            "users": [],
        }
        return render_env(settings.env, document), password, seconds


@contextmanager
def cold_keycloak(cache: Path) -> Iterator[ColdKeycloak]:
    """Start one on free loopback ports; end and remove it afterwards."""
    archive = obtain_archive(
        version=KEYCLOAK_VERSION,
        sha256=KEYCLOAK_SHA256,
        configured="",
        offline=False,
        cache=cache / "downloads",
        environ=os.environ,
        progress=lambda _: None,
    )
    folder = Path(tempfile.mkdtemp(prefix="wi-cold-"))
    try:
        home = folder / "keycloak"
        unpack(archive, home)
        http_port, management_port = free_port(), free_port()
        admin, password = "admin", secrets.token_urlsafe(24)
        java = find_java("", os.environ).executable.parent.parent
        started = time.monotonic()
        with (folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                [
                    str(home / "bin" / "kc.sh"),
                    "start-dev",
                    f"--http-port={http_port}",
                    "--http-host=127.0.0.1",
                    f"--http-management-port={management_port}",
                    "--http-management-host=127.0.0.1",
                    f"--hostname=http://127.0.0.1:{http_port}",
                    "--health-enabled=true",
                ],
                env=_environment(java, admin, password),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            health = f"http://127.0.0.1:{management_port}/health/ready"
            wait_until(lambda: _answers(health), READY_WITHIN, "cold Keycloak", poll=0.1)
            ready_s = time.monotonic() - started
            yield ColdKeycloak(
                f"http://127.0.0.1:{http_port}", ready_s, admin, password, process.pid
            )
        finally:
            process.terminate()  # kc.sh passes it on and waits for its java
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(java: Path, admin: str, password: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "JAVA_HOME": str(java),
        "KC_BOOTSTRAP_ADMIN_USERNAME": admin,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
