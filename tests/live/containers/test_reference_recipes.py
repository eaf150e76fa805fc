"""The four reference recipes: real software that is deployed, answers, and is read as it is."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.image_builds import build
from testbed.installation import wait_until
from testbed.recipe_repository import IMAGES, make_repository
from testbed.registry import Registry
from testbed.relying_party import free_port
from testbed.stacks import deployed

pytestmark = pytest.mark.live


@pytest.fixture
def repository(
    tmp_path: Path, request: pytest.FixtureRequest, engine: Engine, registry: Registry
) -> Path:
    """The repository of a recipe whose images are in the registry."""
    build(engine, registry, IMAGES[request.param])
    return make_repository(request.param, tmp_path)


def get(url: str, host: str = "localhost") -> bytes:
    with urlopen(Request(url, headers={"Host": host}), timeout=10) as answer:
        return bytes(answer.read())


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("repository", ["custom-html"], indirect=True)
def test_custom_html_serves_files(repository: Path, engine: Engine, gate: Gate) -> None:
    """A file in its volume is served; the overlay with a server block of one's own deploys too."""
    env = {"COMPOSE_FILE": "compose.yml:compose.config.yml"}
    with deployed(engine, repository, "wt-html", free_port(), env=env) as stack:
        stack.exec("app", "sh", "-c", "echo hello > /usr/share/nginx/html/hello.txt")
        assert get(f"{stack.url}/hello.txt") == b"hello\n"
        assert get(f"{stack.url}/version") == b"1.1.0\n"


@pytest.mark.parametrize("repository", ["lasuite-docs"], indirect=True)
def test_lasuite_docs_runs_on_its_database_and_cache(
    repository: Path, engine: Engine, gate: Gate
) -> None:
    """The page comes through the proxy from the backend; its tables are in PostgreSQL."""
    with deployed(engine, repository, "wt-docs", free_port()) as stack:
        wait_until(lambda: answers(f"{stack.url}/whoami"), 30, "the backend behind the proxy")
        assert json.loads(get(f"{stack.url}/whoami")) == {"authenticated": False}
        tables = stack.exec("db", "psql", "-U", "docs", "-d", "docs", "-Atc", r"\dt")
        assert "standin_user" in tables
        stack.exec("db", "/pg_backup.sh", "backup")
        stack.exec("db", "psql", "-U", "docs", "-d", "docs", "-qc", "DROP TABLE django_session")
        stack.exec("db", "/pg_backup.sh", "restore")
        tables = stack.exec("db", "psql", "-U", "docs", "-d", "docs", "-Atc", r"\dt")
        assert "django_session" in tables


@pytest.mark.parametrize("repository", ["keycloak"], indirect=True)
def test_keycloak_runs_on_postgresql(repository: Path, engine: Engine, gate: Gate) -> None:
    """Discovery answers with the domain of the app's environment as its issuer."""
    env = {"DOMAIN": "kc.ci.example"}
    with deployed(engine, repository, "wt-kc", free_port(), env=env) as stack:
        told = json.loads(get(f"{stack.url}/realms/master/.well-known/openid-configuration"))
        assert told["issuer"] == "https://kc.ci.example/realms/master"
        realms = "SELECT name FROM realm"
        found = stack.exec("db", "psql", "-U", "keycloak", "-d", "keycloak", "-Atc", realms)
        assert found == "master\n"
