"""A lease that owns a Swarm stack, on a real Swarm and a real Keycloak."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.installation import Installation, wait_until
from testbed.registry import Registry
from tests.live.containers.small_images import make
from warminfra.core.engine import StackKind
from warminfra.engine.stacks import DockerStacks

pytestmark = pytest.mark.live

RECIPE = """\
[sso]
provider = "keycloak"
[[sso.users]]
username = "alice"
[sso.env]
OIDC_ISSUER = "{issuer}"
OIDC_SECRET = "{client.secret}"
[sso.secrets]
oidc_rpcs = "{client.secret}"
"""


@pytest.fixture(scope="module", autouse=True)
def _enrolled(installation: Installation) -> None:
    """The recipe of these tests."""
    folder = installation.folder / "app"
    folder.mkdir()
    (folder / "warminfra.toml").write_text(RECIPE)
    installation.enroll(folder)
    installation.wait_ready(2)


@pytest.fixture(scope="module")
def image(engine: Engine, registry: Registry, _gate: Gate) -> str:
    return make(engine, registry, "stack-app", "1.0.0")


@pytest.fixture
def stacks(engine: Engine) -> Iterator[DockerStacks]:
    made = DockerStacks(engine.host)
    yield made
    made.close()


@pytest.fixture
def compose(image: str, tmp_path: Path) -> Path:
    """A stack with one object of each kind."""
    (tmp_path / "app.conf").write_text("a config\n")
    services = {
        "app": {
            "image": image,
            "networks": ["inner"],
            "volumes": ["data:/data"],
            "configs": ["conf"],
            "deploy": {"endpoint_mode": "dnsrr"},
        }
    }
    document = {
        "version": "3.8",
        "services": services,
        "networks": {"inner": {}},
        "volumes": {"data": {}},
        "configs": {"conf": {"file": str(tmp_path / "app.conf")}},
    }
    file = tmp_path / "compose.json"
    file.write_text(json.dumps(document))
    return file


def deploy(engine: Engine, compose: Path, stack: str) -> str:
    """Return the command that deploys the stack and waits for its container."""
    docker = f"docker --host {engine.host}"
    return (
        f"{docker} stack deploy --detach=true -c {compose} {stack} >&2; "
        f"until {docker} ps --quiet --filter label=com.docker.stack.namespace={stack} "
        "| grep -q .; do sleep 0.1; done"
    )


def kinds(stacks: DockerStacks, stack: str) -> set[StackKind]:
    return {found.kind for found in stacks.objects(stack)}


def test_kill_9_of_exec_removes_stack_and_tenant_in_order(
    engine: Engine, installation: Installation, stacks: DockerStacks, compose: Path, tmp_path: Path
) -> None:
    """Within a minute of a kill -9 stack and tenant are gone, the stack first; a foreign stack of
    a similar name is untouched."""
    for foreign in ("run-17-other", "run-1"):
        subprocess.run(["sh", "-c", deploy(engine, compose, foreign)], check=True, timeout=120)
    before = {name: set(stacks.objects(name)) for name in ("run-17-other", "run-1")}
    env_file = tmp_path / "app.env"
    env_file.write_text("# the app\nDOMAIN=a.example\nSECRET_OIDC_RPCS_VERSION=v3\nOIDC_ISSUER=\n")
    script = deploy(engine, compose, "run-17") + "; echo deployed; sleep 600"
    options = ["--recipe", "app", "--stack", "run-17", "--app-env", str(env_file)]
    process = installation.start(
        ["exec", *options, "--", "sh", "-c", script], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "deployed\n"
    assert kinds(stacks, "run-17") == set(StackKind)
    secrets = [o.name for o in stacks.objects("run-17") if o.kind is StackKind.SECRET]
    assert secrets == ["run-17_oidc_rpcs_v3"]
    lines = env_file.read_text().splitlines()
    assert lines[:3] == ["# the app", "DOMAIN=a.example", "SECRET_OIDC_RPCS_VERSION=v3"]
    assert lines[3].startswith("OIDC_ISSUER=http")
    assert env_file.stat().st_mode & 0o777 == 0o600
    (lease,) = installation.json("leases")["leases"]
    killed = time.monotonic()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    seen: list[tuple[frozenset[StackKind], str]] = []
    ledger = installation.ledger()
    try:

        def gone() -> bool:
            there = frozenset(kinds(stacks, "run-17"))
            tenant = ledger.tenants.get(lease["id"])
            assert tenant is not None
            if not seen or seen[-1] != (there, tenant.state):
                seen.append((there, tenant.state))
            return not there and tenant.state == "gone"

        wait_until(gone, 60.0, "stack and tenant to be gone", poll=0.02)
    finally:
        ledger.close()
    assert time.monotonic() - killed < 60
    order = list(StackKind)
    for there, tenant in seen:
        assert tenant != "gone" or not there, "the tenant went before its stack"
        if StackKind.SERVICE in there:
            assert there == set(order), f"something went before the service: {there}"
        if StackKind.NETWORK in there:
            assert {StackKind.SECRET, StackKind.CONFIG, StackKind.VOLUME} <= there
    assert {name: set(stacks.objects(name)) for name in before} == before
    for foreign in before:
        wait_until(lambda name=foreign: _forgotten(engine, stacks, name), 60.0, "the end of it")


def _forgotten(engine: Engine, stacks: DockerStacks, stack: str) -> bool:
    """Remove it and what `stack rm` leaves, and say whether all was gone."""
    engine.run("stack", "rm", stack, check=False)
    for found in stacks.objects(stack):
        if found.kind in (StackKind.TASK, StackKind.VOLUME):
            engine.run(
                *(("rm", "--force") if found.kind is StackKind.TASK else ("volume", "rm")),
                found.id,
                check=False,
            )
    return not stacks.objects(stack)


def test_a_stack_that_exists_is_refused(
    engine: Engine, installation: Installation, stacks: DockerStacks, compose: Path
) -> None:
    """A lease never comes to own what was there before it, and nothing is leased."""
    engine.run("secret", "rm", "old_x_v1", check=False)  # of a run that broke off
    engine.run("secret", "create", "--label", "com.docker.stack.namespace=old", "old_x_v1", "-",
               input="x")  # fmt: skip
    for command in (("exec", "--", "true"), ("lease", "--to", "lease.json")):
        verb, *rest = command
        done = installation.run(verb, "--recipe", "app", "--stack", "old", *rest, check=False)
        assert done.returncode == (125 if verb == "exec" else 79), done.stderr
        assert "old_x_v1" in done.stderr
    assert installation.json("leases")["leases"] == []
    file = installation.folder / "later.json"
    installation.run("lease", "--recipe", "app", "--to", str(file), "-o", "json")
    done = installation.run(
        "attach", json.loads(file.read_text())["id"], "--stack", "old",
        "--handle-file", str(file), check=False,
    )  # fmt: skip
    assert done.returncode == 79, done.stderr
    _release(installation, file)
    assert [o.name for o in stacks.objects("old")] == ["old_x_v1"]
    engine.run("secret", "rm", "old_x_v1")


def test_attach_then_release_removes_what_was_deployed_after_the_lease(
    engine: Engine, installation: Installation, stacks: DockerStacks, compose: Path
) -> None:
    """A plain lease can be given a stack later; `release --wait` returns when both are gone."""
    file = installation.folder / "attached.json"
    installation.run("lease", "--recipe", "app", "--to", str(file), "-o", "json")
    subprocess.run(["sh", "-c", deploy(engine, compose, "late")], check=True, timeout=120)
    lease = json.loads(file.read_text())["id"]
    for _ in range(2):
        installation.run("attach", lease, "--stack", "late", "--handle-file", str(file))
    other = installation.run(
        "lease", "--recipe", "app", "--stack", "late", "--to", "x.json", check=False
    )
    assert other.returncode == 79, other.stderr
    assert lease in other.stderr
    _release(installation, file)
    assert stacks.objects("late") == []


def test_the_service_may_die_in_the_middle_of_a_removal(
    engine: Engine, installation: Installation, stacks: DockerStacks, compose: Path
) -> None:
    """Kill -9 of the service while it removes a stack: the next one goes on with it."""
    file = installation.folder / "killed.json"
    installation.run(
        "lease", "--recipe", "app", "--stack", "killed", "--to", str(file), "-o", "json"
    )
    subprocess.run(["sh", "-c", deploy(engine, compose, "killed")], check=True, timeout=120)
    lease = json.loads(file.read_text())["id"]
    installation.run("release", lease, "--handle-file", str(file))
    wait_until(lambda: kinds(stacks, "killed") != set(StackKind), 30.0, "the removal to begin",
               poll=0.005)  # fmt: skip
    installation.kill_service()
    installation.up()
    wait_until(lambda: not stacks.objects("killed"), 60.0, "the stack to be gone")
    _release(installation, file)


def test_a_held_stack_stays_and_goes_with_its_lease(
    engine: Engine, installation: Installation, stacks: DockerStacks, compose: Path
) -> None:
    """What a failed command deployed runs on, counted with its memory, until the hold is ended;
    the budget in memory is kept."""
    script = deploy(engine, compose, "failed") + "; exit 7"
    options = ["--recipe", "app", "--stack", "failed", "--on-failure", "hold:10m"]
    ran = installation.run("exec", *options, "--", "sh", "-c", script, check=False)
    assert ran.returncode == 7, ran.stderr
    assert kinds(stacks, "failed") == set(StackKind)
    (held,) = installation.json("status")["held"]
    tenant = 2 << 20
    assert tenant < held["memory"] < tenant + (256 << 20)
    file = Path(ran.stderr.split("its document is ")[1].split(";")[0])
    installation.run("release", held["id"], "--handle-file", str(file), "--wait")
    assert stacks.objects("failed") == []


def _release(installation: Installation, file: Path) -> None:
    lease = json.loads(file.read_text())["id"]
    installation.run("release", lease, "--handle-file", str(file), "--wait", "--timeout", "90s")
