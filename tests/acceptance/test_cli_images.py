"""`warminfra images …` where there is no engine, or nothing to talk to one with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import Home


@pytest.fixture
def without_docker(home: Home) -> dict[str, str]:
    """An environment in which docker-py cannot be imported."""
    package = home.path / "blocked" / "docker"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not installed')\n")
    return {"PYTHONPATH": str(package.parent)}


def recipe(home: Home) -> Path:
    folder = home.path / "shop"
    folder.mkdir()
    services = {"app": {"image": "app:1.0.0"}}
    (folder / "compose.yml").write_text(json.dumps({"version": "3.8", "services": services}))
    return folder


@pytest.mark.parametrize("verb", ["ls", "prune", "lock", "pull", "verify"])
def test_without_docker_py_the_line_says_what_to_install(
    home: Home, without_docker: dict[str, str], verb: str
) -> None:
    """It is an optional part: whoever needs it is told, with exit code 69."""
    path = ("--path", str(recipe(home))) if verb in ("lock", "pull", "verify") else ()
    done = home.run("images", verb, *path, extra=without_docker)
    assert done.returncode == 69, done.stderr
    assert "warminfra[docker]" in done.stderr


@pytest.mark.parametrize("verb", ["lock", "pull", "verify"])
def test_without_an_engine_nothing_is_written(home: Home, verb: str) -> None:
    """69, the engine's address in the line, and no lock."""
    folder = recipe(home)
    host = {"DOCKER_HOST": f"unix://{home.path}/no.sock"}
    done = home.run("images", verb, "--path", str(folder), extra=host)
    assert done.returncode == 69, done.stderr
    assert "no.sock" in done.stderr
    assert not (folder / "warminfra.lock").exists()


def test_doctor_tells_of_the_engine(home: Home, without_docker: dict[str, str]) -> None:
    """A node without one is told what it cannot do then; that is no failure by itself."""
    told = json.loads(home.run("doctor", "-o", "json", extra=without_docker).stdout)
    (engine,) = [row for row in told["checks"] if row["check"] == "engine"]
    assert engine["level"] == "warn"
    assert "warminfra[docker]" in engine["remedy"]


def test_a_mirror_without_an_upstream_is_a_configuration_s_fault(home: Home) -> None:
    """78, and which setting is missing."""
    host = {"DOCKER_HOST": f"unix://{home.path}/no.sock"}
    done = home.run("images", "mirror", "start", extra=host)
    assert done.returncode == 78, done.stderr
    assert "mirror.upstream" in done.stderr
