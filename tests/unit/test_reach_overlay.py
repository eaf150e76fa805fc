"""What a lease hands to containers: host entries, the CA, and names that point to it there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from warminfra.cli.document import lease_environment
from warminfra.cli.handing import Handing
from warminfra.core.errors import ConfigInvalid, Usage
from warminfra.recipes import PRESETS, render_env
from warminfra.recipes.overlay import CA_IN_CONTAINER, overlay
from warminfra.recipes.patterns import ENDPOINTS

COMPOSE = """\
version: "3.8"
services:
  app:
    image: app:1
    environment: ["A=1"]
  db:
    image: db:1
"""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """A lease in mode node, of the generic preset."""
    for name in ("ca.pem", "bundle.pem"):
        (tmp_path / name).write_text(name)
    issuer = "https://sso.test:8443/realms/x"
    found: dict[str, Any] = {
        "id": "x", "handle": "h", "recipe": "shop", "issuer": issuer,
        "endpoints": {name: f"{issuer}/{name}" for name in ENDPOINTS},
        "client": {"id": "c", "secret": "s"}, "hosts": {"sso.test": "172.17.0.1"},
        "tls": {"ca_pem": "PEM", "ca_file": str(tmp_path / "ca.pem"),
                "bundle_file": str(tmp_path / "bundle.pem")},
    }  # fmt: skip
    return {**found, "env": render_env(PRESETS["generic"], found)}


@pytest.mark.parametrize("preset", ["generic", "django-lasuite"])
def test_presets_name_the_ca_where_there_is_one(document: dict[str, Any], preset: str) -> None:
    """Stores that are replaced get the system's certificates too; others only ours."""
    env = render_env(PRESETS[preset], document)
    tls = document["tls"]
    assert env["REQUESTS_CA_BUNDLE"] == env["SSL_CERT_FILE"] == tls["bundle_file"]
    assert env["NODE_EXTRA_CA_CERTS"] == tls["ca_file"]
    del document["tls"]
    assert (
        not {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} & render_env(PRESETS[preset], document).keys()
    )


def test_the_environment_names_the_host_entries(document: dict[str, Any]) -> None:
    """`-o env` has them for scripts; without any the name is not there."""
    assert lease_environment(document)["WARMINFRA_LEASE_HOSTS"] == "sso.test:172.17.0.1"
    del document["hosts"]
    assert "WARMINFRA_LEASE_HOSTS" not in lease_environment(document)


def test_each_service_gets_entries_ca_and_names(document: dict[str, Any]) -> None:
    """The overlay has what containers need, and no secret."""
    found = yaml.safe_load(overlay(document, ["db", "app"], "run-1", "3.8"))
    assert found["version"] == "3.8"
    assert found["services"].keys() == {"app", "db"}
    service = found["services"]["app"]
    assert service["extra_hosts"] == ["sso.test:172.17.0.1"]
    assert service["configs"][0]["target"] == CA_IN_CONTAINER
    assert service["environment"] == dict.fromkeys(
        ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), CA_IN_CONTAINER
    )
    (config,) = found["configs"].values()
    assert config["file"] == document["tls"]["bundle_file"]
    assert config["name"].startswith("run-1_")


def test_another_ca_is_another_config(document: dict[str, Any]) -> None:
    """A Swarm config cannot change: a stack that is deployed again must not need it to."""
    first = overlay(document, ["app"], "run-1", None)
    Path(document["tls"]["bundle_file"]).write_text("another")
    assert overlay(document, ["app"], "run-1", None) != first


def test_a_front_with_a_public_certificate_needs_nothing(document: dict[str, Any]) -> None:
    """The overlay is a valid, empty one: scripts need not ask which mode is set."""
    del document["tls"], document["hosts"]
    assert yaml.safe_load(overlay(document, ["app"], "s", "3.8")) == {
        "version": "3.8",
        "services": {},
    }


def test_no_overlay_makes_loopback_reachable(document: dict[str, Any]) -> None:
    """In mode host the answer is how to change that."""
    document["issuer"] = "http://127.0.0.1:20000/realms/x"
    with pytest.raises(ConfigInvalid, match=r"reach\.mode"):
        overlay(document, ["app"], "s", None)


class Client:
    """Knows one enrolled recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def recipes(self) -> list[dict[str, str]]:
        return [{"name": "shop", "path": str(self.folder)}]


def test_handing_writes_both_files(document: dict[str, Any], tmp_path: Path) -> None:
    """The app's env file has the path that the CA has in containers, not the host's."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yml").write_text(COMPOSE)
    env_file, file = tmp_path / "app.env", tmp_path / "compose.reach.yml"
    handing = Handing("run-1", env_file, file)
    client: Any = Client(folder)
    handing.look(client, "shop")
    handing.write(document)
    assert f"SSL_CERT_FILE={CA_IN_CONTAINER}" in env_file.read_text().splitlines()
    assert yaml.safe_load(file.read_text())["services"].keys() == {"app", "db"}


def test_an_overlay_is_for_a_stack(tmp_path: Path) -> None:
    """Its config belongs to the stack and goes with it: without a name there is none."""
    with pytest.raises(Usage, match="--stack"):
        Handing("", None, tmp_path / "x.yml")
