"""`warminfra recipes FOLDER` and `enroll` tell what a recipe deploys, collides on, and lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import Home
from tests.recipe_folder import SAMPLE, commit, recipe, service

SSO = '[sso]\nprovider = "keycloak"\n'
PORTS = "ports: ['8080:80']\nenvironment: {DB_PASSWORD: hunter2-hunter2}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe of two versions, the current one with a published port and a password."""
    found = recipe(tmp_path / "docs", compose=service("deploy: {replicas: 1}\n"))
    (found / "warminfra.toml").write_text(SSO)
    commit(found, "1.0.0+1")
    recipe(found, compose=service(PORTS), compose__x=service(""))
    commit(found, "1.1.0+1")
    return found


def test_a_folder_is_told_without_a_service(home: Home, folder: Path) -> None:
    """Services, the version before, images of other overlays, collisions; no credential."""
    ran = home.run("recipes", str(folder))
    assert ran.returncode == 0, ran.stderr
    assert "upgrades from 1.0.0+1" in ran.stdout
    assert "port 8080/tcp of the node  blocks  turns" in ran.stdout
    assert "DB_PASSWORD is a credential in plain text" in ran.stdout
    assert "hunter2" not in ran.stdout


def test_the_report_is_json_too(home: Home, folder: Path) -> None:
    """With the schema that programs look for."""
    ran = home.run("recipes", str(folder), "-o", "json")
    told = json.loads(ran.stdout)
    assert told["schema"] == "warminfra.recipe-report/v1"
    assert told["tags"] == ["1.1.0+1", "1.0.0+1"]
    assert (told["current"]["tag"], told["previous"]["tag"]) == ("1.1.0+1", "1.0.0+1")
    (collision,) = told["current"]["collisions"]
    assert (collision["kind"], collision["separation"]) == ("published-port", "turns")
    assert collision["place"] == f"{folder}/compose.yml:5"
    assert "hunter2" not in ran.stdout


def test_the_apps_own_environment_is_taken(home: Home, folder: Path, tmp_path: Path) -> None:
    """`--app-env` chooses the overlays and values; a file that is not there is told."""
    env = tmp_path / "app.env"
    env.write_text(SAMPLE + "COMPOSE_FILE=compose.yml:compose.x.yml\n")
    ran = home.run("recipes", str(folder), "--app-env", str(env), "-o", "json")
    assert json.loads(ran.stdout)["current"]["compose_files"] == ["compose.yml", "compose.x.yml"]
    ran = home.run("recipes", str(folder), "--app-env", str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr.count("\n")) == (66, 1)


def test_enrol_tells_all_faults_of_all_files_at_once(home: Home, folder: Path) -> None:
    """warminfra.toml and compose files, one line each, exit code 65, without a service."""
    (folder / "warminfra.toml").write_text('[sso]\nprovder = "keycloak"\n')
    (folder / "compose.yml").write_text(service("imag: x\n"))
    ran = home.run("enroll", "docs", str(folder))
    assert (ran.returncode, ran.stdout) == (65, "")
    first, second = ran.stderr.splitlines()
    assert f"{folder}/warminfra.toml:2: sso.provder: unknown" in first
    assert f"{folder}/compose.yml:5: service app: 'imag' is unknown" in second


def test_enrol_tells_what_two_runs_collide_on(home: Home, folder: Path) -> None:
    """A line for each on stderr, before the service is asked for."""
    ran = home.run("enroll", "docs", str(folder))
    assert ran.returncode == 69
    assert "two runs collide: " in ran.stderr
    assert f"{folder}/compose.yml:5: port 8080/tcp of the node (blocks, turns: " in ran.stderr
    assert f"odd: {folder}/compose.yml:6: service app: DB_PASSWORD is a credential" in ran.stderr
    assert "hunter2" not in ran.stderr + ran.stdout
