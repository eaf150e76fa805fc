"""Everything of which two runs on one node would want the only one is found, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipe_folder import recipe, service
from warminfra.recipes.compose import read_version
from warminfra.recipes.model import Collision, Separation, Severity

PROXY = "  proxy:\n    external: true"


def found(folder: Path, compose: str, **options: str) -> list[Collision]:
    recipe(folder, compose=compose)
    (folder / "c.conf").write_text("")
    return list(read_version(folder, shown="r", by_engine=False, **options).collisions)


def labelled(*labels: str) -> str:
    return service("deploy:\n  labels:\n" + "".join(f'    - "{label}"\n' for label in labels))


@pytest.mark.parametrize(
    ("compose", "kind", "severity", "separation", "line"),
    [
        (service("ports: ['8080:80']"), "published-port", "blocks", "turns", 5),
        (
            service("ports:\n  - {target: 80, published: 80, mode: host}"),
            "host-port",
            "blocks",
            "turns",
            6,
        ),
        (
            labelled("traefik.tcp.routers.${STACK_NAME}.rule=HostSNI(`*`)"),
            "tcp-catch-all",
            "blocks",
            "turns",
            7,
        ),
        (
            labelled("traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`, `o.example.com`)"),
            "domain",
            "mixes",
            "never",
            7,
        ),
        (
            labelled("traefik.http.routers.${STACK_NAME}.rule=HostRegexp(`.+`)"),
            "domain",
            "mixes",
            "never",
            7,
        ),
        (labelled("traefik.http.routers.app.tls=true"), "router", "mixes", "never", 7),
        (
            labelled("traefik.http.middlewares.auth.basicauth.users=x"),
            "middleware",
            "mixes",
            "never",
            7,
        ),
        (
            service("volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']"),
            "docker-socket",
            "reaches",
            "never",
            5,
        ),
        (service("volumes: ['/:/host:ro']"), "host-path", "reaches", "never", 5),
        (service("volumes: ['/srv/data:/data']"), "host-path", "mixes", "never", 5),
        (service("networks: [n]", networks="  n: {name: fixed}"), "network", "mixes", "turns", 7),
        (
            service("volumes: ['v1:/v']", volumes="  v1: {name: fixed}"),
            "volume",
            "blocks",
            "turns",
            7,
        ),
        (
            service("volumes: ['v1:/v']", volumes="  v1: {external: true}"),
            "volume",
            "mixes",
            "never",
            7,
        ),
        (
            service("configs: [cf]", configs="  cf: {file: ./c.conf, name: fixed}"),
            "config",
            "blocks",
            "turns",
            7,
        ),
        (service("secrets: [s]", secrets="  s: {external: true}"), "secret", "mixes", "never", 7),
        (service("networks: [proxy]", networks=PROXY), "network", "mixes", "apart", 7),
    ],
)
def test_each_kind_of_collision(
    tmp_path: Path, compose: str, kind: str, severity: str, separation: str, line: int
) -> None:
    """What it is, how bad, whether two runs can be kept apart, and where it stands."""
    (one,) = found(tmp_path, compose)
    assert (one.kind, one.severity, one.separation) == (
        kind,
        Severity(severity),
        Separation(separation),
    )
    assert str(one.place) == f"r/compose.yml:{line}"
    assert one.what
    assert one.how


def test_what_carries_the_stacks_name_or_the_runs_domain_collides_with_nothing(
    tmp_path: Path,
) -> None:
    """In mappings too, where the engine leaves `${STACK_NAME}` in keys as it is."""
    compose = service(
        "volumes: ['v1:/v', '/etc/localtime:/etc/localtime:ro']\n"
        "configs: [cf]\n"
        "deploy:\n  labels:\n"
        '    traefik.http.routers.${STACK_NAME}.rule: "Host(`${DOMAIN}`, `www.${DOMAIN}`)"\n'
        "    traefik.http.middlewares.${STACK_NAME}-auth.headers.SSLHost: ${DOMAIN}\n"
        "    traefik.tcp.routers.${STACK_NAME}-x.rule: HostSNI(`x.${DOMAIN}`)\n",
        volumes="  v1:",
        configs="  cf: {file: ./c.conf, name: '${STACK_NAME}_cf_v1'}",
    )
    assert found(tmp_path, compose) == []
    assert found(tmp_path, compose, stack="run-7", domain="seven.ci.example") == []


def test_services_that_share_an_external_network_see_their_namesakes(tmp_path: Path) -> None:
    """Two services of a stack on it look each other up there, among those of every run."""
    compose = (
        'version: "3.8"\nservices:\n'
        "  app: {image: 'a:1', networks: [proxy]}\n"
        "  db: {image: 'b:1', networks: [proxy]}\n"
        f"networks:\n{PROXY}\n"
    )
    (one,) = found(tmp_path, compose)
    assert one.separation is Separation.TURNS
    assert "app and db of every run" in one.what
