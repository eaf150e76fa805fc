"""One URL for a browser on the host, a process, and a container: mode node, on a real Swarm.

The app runs in containers of an overlay network, its cookies are Secure, Chromium runs on the host.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, build_opener

import httpx
import psutil
import pytest

from testbed.chromium import Chromium
from testbed.engine import Engine
from testbed.front import front
from testbed.gate import Gate
from testbed.image_builds import build, images
from testbed.installation import LASUITE_DOCS, Installation, wait_until
from testbed.recipe_repository import IMAGES
from testbed.registry import Registry
from testbed.relying_party import free_port
from testbed.stacks import deployed
from tests.live.test_service_lease import handle
from warminfra.config import load
from warminfra.core.clock import SystemClock
from warminfra.engine import reach_probe
from warminfra.instances.authority import Authority

pytestmark = pytest.mark.live

NAME = "sso.warminfra.test"
NETWORK = "reach-net"

Renamed = tuple[Installation, dict[str, Any]]
"""An installation, and the document of a lease from before it was reached otherwise."""


@contextmanager
def installed(engine: Engine, reach: str) -> Iterator[Installation]:
    """A service with a warm Keycloak that is reached so, the docs recipe enrolled."""
    config = (
        f'[engine]\nhost = "{engine.host}"\n[pool]\nmin = 1\nmax = 2\n'
        f"[instances]\nspares = 0\n[reach]\n{reach}"
    )
    with Installation.temporary(config=config) as made:
        made.up()
        made.enroll(LASUITE_DOCS, "--no-images")
        made.wait_ready(1)
        yield made


def reconfigure(made: Installation, old: str, new: str) -> None:
    """End the service, replace a part of its configuration, and start it again."""
    made.run("down")
    config = made.folder / "config" / "warminfra" / "config.toml"
    config.write_text(config.read_text().replace(old, new))
    made.up()
    made.wait_ready(1)


@pytest.fixture(scope="module")
def node(engine: Engine) -> Iterator[Installation]:
    """Mode node, by the address of the engine's bridge."""
    with installed(engine, 'mode = "node"\n') as made:
        yield made


@pytest.fixture(scope="module")
def renamed(engine: Engine) -> Iterator[Renamed]:
    """Mode host, with a lease; then mode node, by a name of its own."""
    with installed(engine, 'mode = "host"\n') as made:
        old = leased(made)
        reconfigure(made, 'mode = "host"', f'mode = "node"\nname = "{NAME}"')
        yield made, old


@pytest.fixture(scope="module")
def overlay_network(engine: Engine) -> Iterator[str]:
    """An overlay network to which single containers may be attached."""
    engine.run("network", "create", "--driver", "overlay", "--attachable", NETWORK)
    yield NETWORK
    engine.run("network", "rm", NETWORK)


@pytest.fixture(scope="module")
def docs_images(engine: Engine, registry: Registry, _gate: Gate) -> None:
    build(engine, registry, IMAGES["lasuite-docs"])


def leased(installation: Installation, *options: str) -> Any:
    file = installation.folder / "lease.json"
    installation.run("lease", "--recipe", "lasuite-docs", "-o", "json", "--to", str(file), *options)
    return json.loads(file.read_text())


def released(installation: Installation) -> None:
    file = str(installation.folder / "lease.json")
    installation.run(
        "release", json.loads(Path(file).read_text())["id"], "--handle-file", file,
        "--wait", "--timeout", "120s", timeout=180.0,
    )  # fmt: skip


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """Return check → level and what was found."""
    rows = json.loads(done.stdout)["checks"]
    return {row["check"]: (row["level"], row["found"]) for row in rows}


@contextmanager
def served(installation: Installation, mode: str) -> Iterator[None]:
    """Have leases served in that mode meanwhile."""
    if mode == "dedicated":
        installation.run("revert", "--why", "for the test")
    try:
        yield
    finally:
        if mode == "dedicated":
            installation.run("lift")


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
def test_a_person_logs_in_and_out_of_a_container_over_https(
    node: Installation, engine: Engine, docs_images: None, tmp_path: Path, mode: str
) -> None:
    """The app's container and Chromium on the host go to the same URL and trust its certificate;
    login and logout work with Secure cookies; at a server of one's own, too."""
    env_file, overlay = tmp_path / "docs.env", tmp_path / "compose.reach.yml"
    env_file.write_text((LASUITE_DOCS / ".env.sample").read_text())
    stack_port = free_port()
    with (
        served(node, mode),
        front(tmp_path / "front", ("127.0.0.1", stack_port)) as proxy,
        ExitStack() as last,
    ):
        domain = f"{proxy.address}:{proxy.port}"
        lease = leased(
            node, "--domain", domain, "--stack", "reach-docs",
            "--app-env", str(env_file), "--overlay", str(overlay),
        )  # fmt: skip
        last.callback(released, node)
        assert lease["mode"] == mode
        assert lease["issuer"].startswith("https://")
        seen = reach_probe.look(
            lease["endpoints"]["discovery"], lease["issuer"], lease["tls"]["ca_file"]
        )
        assert seen["trouble"] == "", seen
        keys = list(node.state_dir.glob("instances/*/data/tls/server.key"))
        assert len({key.read_text() for key in keys}) == len(keys) > (mode == "dedicated")
        text = env_file.read_text()
        env = {
            line.split("=", 1)[0]: line.split("=", 1)[1].strip("'")
            for line in text.splitlines()
            if line.startswith("OIDC_")
        }
        with (
            deployed(
                engine, LASUITE_DOCS, "reach-docs", stack_port,
                env={**env, "DOMAIN": domain, "SECURE_COOKIES": "true"}, overlay=overlay,
            ),
            Chromium.started([proxy.ca_file, Path(lease["tls"]["ca_file"])]) as browser,
        ):  # fmt: skip
            alice = lease["users"][0]
            browser.open(f"{proxy.url}/")
            browser.click("#login")
            browser.fill("#username", alice["username"])
            browser.fill("#password", alice["password"])
            at_keycloak = {c["name"]: c for c in browser.cookies()}
            assert browser.url.startswith(lease["issuer"])
            assert all(cookie["secure"] for cookie in at_keycloak.values())
            browser.click("#kc-login")
            assert browser.text("#who") == "Alice Moreau"
            session = {c["name"]: c for c in browser.cookies()}["sessionid"]
            assert session["secure"]
            browser.click("#logout button")
            assert browser.text("#who") == "Nobody is logged in."
            browser.click("#login")
            assert browser.text("#kc-login")  # a password is asked for again


def test_a_strict_client_is_told_the_same_issuer_on_the_host_and_in_a_container(
    node: Installation, overlay_network: str
) -> None:
    """Discovery's issuer is the lease's, over a certificate that is checked, from both places."""
    lease = leased(node)
    try:
        seen = reach_probe.look(
            lease["endpoints"]["discovery"], lease["issuer"], lease["tls"]["ca_file"]
        )
        assert seen["trouble"] == "", seen
        context = ssl.create_default_context(cafile=lease["tls"]["bundle_file"])
        opener = build_opener(HTTPSHandler(context=context))
        with opener.open(lease["endpoints"]["jwks"], timeout=10) as answer:
            assert json.load(answer)["keys"]
        done = node.run("doctor", "reach", "--network", overlay_network, "-o", "json")
        assert findings(done)["issuer"][0] == "ok"
        assert {level for level, _ in findings(done).values()} == {"ok"}
        bridge = node.run("doctor", "reach", "-o", "json")
        assert findings(bridge)["issuer"][0] == "ok"
    finally:
        released(node)


def test_programs_below_exec_trust_the_server(node: Installation) -> None:
    """requests and Node's variables are set; a program that knows nothing of us gets an answer."""
    script = (
        "import os, requests, sys; "
        "print(requests.get(os.environ['OIDC_OP_JWKS_ENDPOINT'], timeout=10).status_code); "
        "print('NODE_EXTRA_CA_CERTS' in os.environ)"
    )
    done = node.run("exec", "--recipe", "lasuite-docs", "--", "python", "-c", script)
    assert done.stdout.split() == ["200", "True"]


def test_nothing_but_the_servers_own_port_leaves_loopback(node: Installation) -> None:
    """Management stays on loopback, and plain HTTP is off."""
    (pid,) = node.keycloak_pids()
    listening = {
        c.laddr
        for c in psutil.Process(pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    (instance,) = node.json("status")["instances"]
    address, port = instance["url"].removeprefix("https://").split(":")
    found = {(place.ip.removeprefix("::ffff:"), place.port) for place in listening}
    assert {place for place in found if place[0] != "127.0.0.1"} == {(address, int(port))}
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{address}:{port}/realms/master", trust_env=False)


def test_a_restart_keeps_issuer_ca_and_leases(node: Installation) -> None:
    """The service is killed, then the server: the lease's issuer still answers under its CA."""
    lease = leased(node)
    node.kill_service()
    node.kill_keycloak()
    node.up()
    node.wait_ready(1)
    seen = reach_probe.look(
        lease["endpoints"]["discovery"], lease["issuer"], lease["tls"]["ca_file"]
    )
    assert seen["trouble"] == "", seen
    assert Path(lease["tls"]["ca_file"]).read_text() == lease["tls"]["ca_pem"]
    released(node)


def test_a_change_of_mode_ends_what_nobody_would_find(renamed: Renamed) -> None:
    """Loopback at first, then HTTPS by another name: the lease under the old issuer is revoked, the
    pool is made anew, and what is leased then is called so."""
    made, old = renamed
    assert old["issuer"].startswith("http://127.0.0.1:")
    assert "tls" not in old
    lost = made.run("renew", old["id"], env=handle(old), check=False)
    assert lost.returncode == 74
    assert f"https://{NAME}" in lost.stderr
    new = leased(made)
    assert new["issuer"].startswith(f"https://{NAME}:")
    discovery = httpx.URL(new["endpoints"]["discovery"])
    trusted = ssl.create_default_context(cafile=new["tls"]["ca_file"])
    with httpx.Client(verify=trusted, trust_env=False) as http:
        answer = http.get(
            discovery.copy_with(host=new["hosts"][NAME]),
            headers={"Host": discovery.netloc.decode()},
            extensions={"sni_hostname": NAME},
        )
    assert answer.json()["issuer"] == new["issuer"]
    released(made)


def test_doctor_tells_a_name_that_containers_do_not_resolve(
    renamed: Renamed, overlay_network: str
) -> None:
    """With a name of its own the server needs a host entry: without one doctor names it, with the
    one of the lease all is well. The service itself needs none."""
    made, _ = renamed
    lease = leased(made)
    assert list(lease["hosts"]) == [NAME]
    done = made.run("doctor", "reach", "--network", overlay_network, "-o", "json", check=False)
    assert done.returncode == 1
    assert list(findings(done)) == ["resolves"]
    assert lease["hosts"][NAME] in json.loads(done.stdout)["checks"][0]["remedy"]
    done = made.run("doctor", "reach", "--network", overlay_network, "--hosts", "-o", "json")
    assert findings(done)["issuer"][0] == "ok"
    released(made)


def test_doctor_tells_a_certificate_and_an_issuer_that_are_not_ours(
    engine: Engine, node: Installation, installation: Installation, tmp_path: Path
) -> None:
    """Mode front: a proxy whose CA nobody was told of, then one that leads to another server; put
    right, the issuer is the proxy's URL everywhere."""
    address = str(node.json("status")["reach"]["address"])
    upstream = free_port()
    with front(tmp_path / "front", (address, upstream), address=address) as proxy:
        reach = (
            f'mode = "front"\naddress = "{address}"\npublic_url = "{proxy.url}"\n'
            f'trusted_proxies = ["{address}"]\n[keycloak]\nhttp_port = {upstream}\n'
        )
        with installed(engine, reach) as made:
            done = made.run("doctor", "reach", "-o", "json", check=False)
            assert done.returncode == 1
            assert findings(done)["trusted"][0] == "fail"

            reconfigure(made, "[reach]\n", f'[reach]\nca_file = "{proxy.ca_file}"\n')
            assert findings(made.run("doctor", "reach", "-o", "json"))["issuer"][0] == "ok"
            lease = leased(made)
            assert lease["issuer"].startswith(f"{proxy.url}/realms/")
            assert lease["tls"]["ca_pem"] == proxy.ca_file.read_text()
            seen = reach_probe.look(
                lease["endpoints"]["discovery"], lease["issuer"], lease["tls"]["ca_file"]
            )
            assert seen["trouble"] == "", seen
            released(made)

            (other,) = installation.json("status")["instances"]
            proxy.upstream = ("127.0.0.1", int(other["url"].rsplit(":", 1)[1]))
            done = made.run("doctor", "reach", "-o", "json", check=False)
            assert done.returncode == 1
            assert findings(done)["issuer"] == ("fail", f"{other['url']}/realms/master")


def test_a_proxy_with_the_servers_ports_serves_a_server_of_ones_own(
    engine: Engine, tmp_path: Path
) -> None:
    """Mode front, the URL with `{port}`: warm and dedicated server each have an issuer of their
    own at the proxy, and ask for a password there."""
    address = "127.0.0.2"
    folder = tmp_path / "front"
    authority = Authority(folder / "ca", "", address, SystemClock())
    authority.pem()
    reach = (
        f'mode = "front"\npublic_url = "https://{address}:{{port}}"\n'
        f'ca_file = "{authority.ca_file}"\ntrusted_proxies = ["127.0.0.1"]\n'
    )
    issuers = set()
    with installed(engine, reach) as made:
        for mode in ("shared", "dedicated"):
            with served(made, mode):
                lease = leased(made, "--domain", "docs.ci.example")
                assert lease["mode"] == mode
                port = int(lease["issuer"].removeprefix(f"https://{address}:").split("/")[0])
                with front(folder, ("127.0.0.1", port), address=address, port=port) as proxy:
                    assert proxy.ca_file == authority.ca_file
                    seen = reach_probe.look(
                        lease["endpoints"]["discovery"], lease["issuer"], lease["tls"]["ca_file"]
                    )
                    assert seen["trouble"] == "", seen
                    asks = httpx.get(
                        lease["endpoints"]["authorization"],
                        params={
                            "client_id": lease["client"]["id"],
                            "redirect_uri": "https://docs.ci.example/",
                            "response_type": "code",
                            "scope": "openid",
                        },
                        verify=ssl.create_default_context(cafile=authority.ca_file),
                        trust_env=False,
                    )
                    assert f'action="{lease["issuer"]}/login-actions/' in asks.text
                released(made)
                issuers.add(lease["issuer"].split("/realms/")[0])
    assert len(issuers) == 2


def test_mode_host_says_what_it_cannot_do(installation: Installation) -> None:
    """On loopback there is nothing to look for from a container, and no lease has an overlay."""
    done = installation.run("doctor", "reach", check=False)
    assert done.returncode == 1
    assert "reach.mode" in done.stdout
    installation.enroll(LASUITE_DOCS, "--no-images")
    refused = installation.run(
        "lease", "--recipe", "lasuite-docs", "--stack", "x", "--overlay", "x.yml",
        "--to", "x.json", check=False,
    )  # fmt: skip
    installation.run("unenroll", "lasuite-docs", "--yes")
    assert refused.returncode == 78
    assert "reach.mode" in refused.stderr


def test_doctor_looks_with_an_image_of_the_engine(
    engine: Engine, node: Installation, docs_images: None
) -> None:
    """With `--image` nothing else of this machine is needed; where it is not there, 66 names it."""
    image = next(iter(images(["lasuite-docs"])))
    engine.run("pull", "--quiet", image.reference)
    done = node.run("doctor", "reach", "--image", image.reference, "-o", "json")
    assert findings(done)["issuer"][0] == "ok"
    absent = f"{image.reference}-absent"
    done = node.run("doctor", "reach", "--image", absent, check=False)
    assert done.returncode == 66
    assert absent in done.stderr
    assert leftovers(node) == ""


def test_doctor_without_engine_or_network_says_so(node: Installation) -> None:
    """No engine, no such network: one line each, with the exit code of its kind."""
    away = "unix:///nonexistent/docker.sock"
    done = node.run("--set", f"engine.host={away}", "doctor", "reach", check=False)
    assert done.returncode == 69
    assert away in done.stderr
    done = node.run("doctor", "reach", "--network", "no-such-network", check=False)
    assert done.returncode == 66
    assert "no-such-network" in done.stderr
    wait_until(lambda: not leftovers(node), 10, "throwaway containers to be gone")


def leftovers(node: Installation) -> str:
    host = load(environ=node.env, cwd=node.folder).settings.engine.host
    command = ["docker", "--host", host, "ps", "-aq", "--filter", "label=warminfra.throwaway"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
