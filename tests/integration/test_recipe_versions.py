"""A recipe's versions by git tag, and the engine's own merging beside ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recipe_folder import APP, SAMPLE, commit, git, recipe, service
from warminfra.core.errors import RecipeInvalid
from warminfra.recipes.compose import read_version
from warminfra.recipes.model import RecipeVersion
from warminfra.recipes.stack_config import client
from warminfra.recipes.versions import read_folder, version_tags


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three versions, and a tag that is none."""
    folder = tmp_path / "app"
    for version in ("0.9.0+1.21", "0.10.0+1.22.1", "1.0.0+1.22.1"):
        recipe(folder, compose=APP.replace("1.0.0+1.22.1", version).replace("1.22.1", "1.22.1"))
        (folder / "note").write_text(version)
        commit(folder, version, *(["latest"] if version.startswith("1.") else []))
    return folder


def test_the_version_before_is_the_newest_older_tag(repository: Path) -> None:
    """Numbers are compared as numbers; the current one is what lies in the folder."""
    found = read_folder(repository)
    assert found.tags == ("1.0.0+1.22.1", "0.10.0+1.22.1", "0.9.0+1.21")
    assert (found.current.version, found.current.tag) == ("1.0.0+1.22.1", "1.0.0+1.22.1")
    assert found.previous is not None
    assert (found.previous.version, found.previous.tag) == ("0.10.0+1.22.1", "0.10.0+1.22.1")
    assert len(found.previous.commit) == len(found.current.commit) == 40
    assert found.previous.commit != found.current.commit


def test_an_older_version_checked_out_has_its_own_before(repository: Path) -> None:
    """What lies in the folder decides, not the newest tag."""
    git(repository, "checkout", "--quiet", "0.10.0+1.22.1")
    found = read_folder(repository)
    assert found.current.version == "0.10.0+1.22.1"
    assert found.previous is not None
    assert found.previous.tag == "0.9.0+1.21"


def test_a_version_to_come_upgrades_from_the_newest_tag(repository: Path) -> None:
    """Changes that are not tagged yet are the current version."""
    compose = (repository / "compose.yml").read_text().replace("1.0.0+1.22.1", "1.1.0+1.23")
    (repository / "compose.yml").write_text(compose)
    found = read_folder(repository)
    assert (found.current.version, found.current.tag) == ("1.1.0+1.23", "")
    assert found.previous is not None
    assert found.previous.tag == "1.0.0+1.22.1"


def test_a_folder_without_git_has_one_version(tmp_path: Path) -> None:
    """Nothing to upgrade from is no fault."""
    found = read_folder(recipe(tmp_path / "app"))
    assert (found.previous, found.tags, found.current.tag) == (None, (), "")


def test_faults_of_both_versions_are_told_at_once(repository: Path) -> None:
    """Each with the tag that it stands in."""
    recipe(repository, compose=service("imag: x\n"))
    commit(repository, "1.1.0+1")
    recipe(repository, compose=service("port: x\n"))
    commit(repository, "1.2.0+1")
    with pytest.raises(RecipeInvalid) as caught:
        read_folder(repository)
    told = "\n".join(caught.value.problems)
    assert f"{repository}/compose.yml:5: service app: 'port' is unknown" in told
    assert f"{repository}@1.1.0+1/compose.yml:5: service app: 'imag' is unknown" in told


def test_no_hook_or_filter_of_the_repository_is_run(repository: Path) -> None:
    """Reading a stranger's recipe runs nothing of it."""
    ran = repository.parent / "ran"
    (repository / ".gitattributes").write_text("* filter=evil export-subst\n")
    commit(repository, "1.5.0+1")
    (repository / "note").write_text("changed")
    commit(repository, "1.6.0+1")
    git(repository, "config", "filter.evil.smudge", f"touch {ran}")
    git(repository, "config", "filter.evil.clean", f"touch {ran}")
    git(repository, "config", "core.fsmonitor", f"touch {ran}")
    read_folder(repository)
    assert not ran.exists()


def test_tags_of_a_folder_inside_another_repository_are_not_its_own(repository: Path) -> None:
    """A recipe is the whole repository, or has no tags."""
    assert version_tags(recipe(repository / "inner")) == ()


COMPOSITIONS = {
    "plain": {"compose": APP},
    "overlays": {
        "env": SAMPLE + "COMPOSE_FILE=compose.yml:compose.db.yml\nN=2\n",
        "compose": service(
            "environment: [A=1, B]\n"
            "ports: ['80:80', '443:443/udp', '9000-9001:90-91']\n"
            "volumes: ['data:/data:ro', '/srv:/srv', '/anonymous']\n"
            "networks: [a, b]\nsecrets: [s]\n"
            "deploy: {replicas: 1, labels: [x=1, y=2]}\n"
            "healthcheck: {test: [CMD, 'true'], interval: 30s}\n",
            volumes="  data:",
            networks="  a:\n  b: {external: {name: bee}}",
            secrets="  s: {external: true, name: '${STACK_NAME}_s_v1'}",
        ),
        "compose__db": 'version: "3.8"\n'
        "services:\n"
        "  app:\n"
        "    environment: {A: '2', C: 010, D: yes, E: 1.50}\n"
        "    ports: [{target: 80, published: 80, mode: host}]\n"
        "    volumes: [{type: volume, source: more, target: /data}]\n"
        "    networks: {c: {aliases: [x]}}\n"
        "    deploy: {replicas: '${N}', labels: {y: 3, z: 'true'}}\n"
        "    healthcheck: {interval: 1m30s}\n"
        "  db: {image: 'postgres:15', secrets: [{source: s, target: /x}]}\n"
        "volumes: {more: {name: fixed}}\n"
        "networks: {c: {}}\n",
    },
    "defaults": {
        "compose": service(
            'labels: {a: "${A:-}", b: "${B:-x y}", c: "${C-${D}}", d: "$$x", "${E}": "${E}"}\n'
        )
    },
}


@pytest.mark.skipif(client() is None, reason="no docker client with `stack config` is installed")
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_our_merging_reads_what_the_engines_reads(tmp_path: Path, name: str) -> None:
    """Where no engine's client is at hand, a recipe is read all the same, and to the same."""
    folder = recipe(tmp_path, **COMPOSITIONS[name])
    ours, engines = (read_version(folder, by_engine=flag) for flag in (False, True))
    assert _comparable(ours) == _comparable(engines)


def _comparable(version: RecipeVersion) -> RecipeVersion:
    """Without places: the order of lines is ours alone."""
    services = {name: replace(each, label_places={}) for name, each in version.services.items()}
    return replace(version, services=services)


@pytest.mark.skipif(client() is None, reason="no docker client with `stack config` is installed")
def test_what_only_the_engine_finds_is_a_fault_too(tmp_path: Path) -> None:
    """Its own words are told, at the first file's place, without credentials."""
    body = "environment: {DB_PASSWORD: hunter2-hunter2}\nhealthcheck: {interval: soon}\n"
    folder = recipe(tmp_path, compose=service(body))
    with pytest.raises(RecipeInvalid) as caught:
        read_version(folder, shown="r")
    (line,) = caught.value.problems
    assert line.startswith("r/compose.yml:1: the engine refuses it: ")
    assert "healthcheck.interval" in line
    assert "hunter2" not in line
