"""Deploys a reference recipe as a stack of the test engine, as abra would.

What the engine of the tests needs besides goes into an overlay of its own: names are answered by
DNS (there is no IPVS in every kernel), and a port of the app is published on the node.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.engine import Engine, newest_client
from testbed.installation import wait_until
from warminfra.recipes.compose import read_version
from warminfra.recipes.dotenv import read_abra, read_env
from warminfra.recipes.model import RecipeVersion

PROXY = "proxy"
PATIENCE = 600.0
"""Seconds: a first Keycloak makes its tables, which takes minutes on a busy machine."""


@dataclass(frozen=True)
class Stack:
    """A stack that was deployed. `port` answers on 127.0.0.1 for the service `app`."""

    engine: Engine
    name: str
    version: RecipeVersion
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def states(self) -> dict[str, str]:
        """Return the state of each service's wanted task."""
        lines = self.engine.run(
            *("stack", "ps", self.name, "--no-trunc", "--filter", "desired-state=running"),
            *("--format", "{{.Name}} {{.CurrentState}} {{.Error}}"),
            check=False,
        ).splitlines()
        return {line.split(".")[0]: line.split(" ", 1)[1] for line in lines}

    def converged(self) -> bool:
        """Say whether every service runs; a task is running once its health check has passed."""
        states = self.states()
        wanted = {f"{self.name}_{name}" for name in self.version.services}
        return states.keys() == wanted and all(s.startswith("Running") for s in states.values())

    def containers(self) -> list[str]:
        """Return the ids of its containers."""
        label = f"label=com.docker.stack.namespace={self.name}"
        return self.engine.run("ps", "--all", "--quiet", "--filter", label).split()

    def exec(self, service: str, *command: str) -> str:
        """Run a command in the container of a service; return its stdout."""
        name = f"label=com.docker.swarm.service.name={self.name}_{service}"
        container = self.engine.run("ps", "--quiet", "--filter", name).split()[0]
        return self.engine.run("exec", container, *command)

    def remove(self) -> None:
        """Remove all of it, volumes too, and wait until it is gone."""
        self.engine.run("stack", "rm", self.name, check=False)
        wait_until(lambda: not self.containers(), PATIENCE, f"the end of stack {self.name}")
        label = f"label=com.docker.stack.namespace={self.name}"
        for kind in ("network", "volume"):
            wait_until(
                lambda kind=kind: self._removed(kind, label), PATIENCE, f"the end of its {kind}s"
            )
        for need in self.version.secrets.values():
            self.engine.run("secret", "rm", need.full_name, check=False)

    def _removed(self, kind: str, label: str) -> bool:
        left = self.engine.run(kind, "ls", "--quiet", "--filter", label).split()
        if left:
            self.engine.run(kind, "rm", *left, check=False)
        return not left


@contextmanager
def deployed(
    engine: Engine,
    folder: Path,
    name: str,
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
    overlay: Path | None = None,
    wait: bool = True,
) -> Iterator[Stack]:
    """Deploy the recipe in `folder` as stack `name`; remove it at the end.

    `env` goes over the recipe's sample; `given` are values of secrets, others are drawn; `overlay`
    is one compose file more.
    """
    sample = (folder / ".env.sample").read_text()
    text = sample + "".join(f"\n{key}='{value}'" for key, value in (env or {}).items())
    version = read_version(folder, env=text, stack=name)
    stack = Stack(engine, name, version, port)
    try:
        deploy(stack, folder, text, given or {}, overlay)
        if wait:
            _wait(stack)
        yield stack
    finally:
        stack.remove()


def deploy(
    stack: Stack, folder: Path, env: str, given: Mapping[str, str], further: Path | None = None
) -> None:
    """Make what the stack needs from outside, and deploy it. Again for an upgrade."""
    engine, version = stack.engine, stack.version
    if PROXY not in engine.run("network", "ls", "--format", "{{.Name}}").split():
        engine.run("network", "create", "--driver", "overlay", "--attachable", PROXY)
    known = engine.run("secret", "ls", "--format", "{{.Name}}").split()
    for need in version.secrets.values():
        if need.full_name not in known:
            value = given.get(need.name) or secrets.token_hex((need.length or 32) // 2)
            engine.run("secret", "create", need.full_name, "-", input=value)
    overlay = {
        "version": "3.8",
        "services": {
            name: {"deploy": {"endpoint_mode": "dnsrr"}, **_published(name, stack.port, folder)}
            for name in version.services
        },
    }
    files = [*(folder / file for file in version.compose_files), *([further] if further else [])]
    arguments = [part for file in files for part in ("-c", str(file))]
    variables = {
        **read_env(env, ".env", {})[0].values_by_name(),
        **read_abra((folder / "abra.sh").read_text(), "abra.sh")[0].values_by_name(),
        "STACK_NAME": stack.name,
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as extra:
        extra.write(json.dumps(overlay))
        extra.flush()
        command = [newest_client(), "--host", engine.host, "stack", "deploy", *arguments]
        done = subprocess.run(
            [*command, "-c", extra.name, "--detach=true", "--resolve-image=always", stack.name],
            env=variables,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"docker stack deploy: {done.stderr.strip()[-600:]}")


def _published(service: str, port: int, folder: Path) -> dict[str, object]:
    """Publish the port that the recipe tells the proxy of."""
    if service != "app":
        return {}
    told = (folder / "compose.yml").read_text().split("loadbalancer.server.port=")[1]
    target = int(told.split('"')[0])
    return {"ports": [{"target": target, "published": port, "mode": "host"}]}


def _wait(stack: Stack) -> None:
    try:
        wait_until(stack.converged, PATIENCE, f"stack {stack.name} to converge", poll=0.25)
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {stack.states()}") from None
