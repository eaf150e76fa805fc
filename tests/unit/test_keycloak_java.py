"""Which Java runs Keycloak, and in which form it keeps class data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_java import java_in
from warminfra.core.errors import ConfigInvalid
from warminfra_keycloak.java import find_java


def test_java_that_is_named_is_taken(tmp_path: Path) -> None:
    """The configured one, then that of JAVA_HOME if it is new enough, whatever else there is."""
    system = tmp_path / "system"
    newest = java_in(system / "jvm-25", "25+36")
    old, named = java_in(tmp_path / "old", "11.0.2+9"), java_in(tmp_path / "named", "17.0.15+6")
    assert find_java(str(named), {"JAVA_HOME": str(newest)}, system).home == named
    assert find_java("", {"JAVA_HOME": str(named)}, system).home == named
    assert find_java("", {"JAVA_HOME": str(old)}, system).home == newest


@pytest.mark.parametrize(
    ("on_path", "in_system", "taken"),
    [
        ("17.0.15+6", ("21.0.1+1", "25+36"), "25+36"),
        ("21.0.1+1", ("17.0.15+6",), "21.0.1+1"),
        ("17.0.15+6", ("26+1",), "17.0.15+6"),
        ("11.0.2+9", ("26+1",), "26+1"),
    ],
)
def test_of_several_the_newest_known_java_is_taken(
    tmp_path: Path, on_path: str, in_system: tuple[str, ...], taken: str
) -> None:
    """Wherever it is; one that Keycloak is not released for only if there is no other."""
    path = java_in(tmp_path / "path", on_path) / "bin"
    for version in in_system:
        java_in(tmp_path / "system" / f"jvm-{version}", version)
    assert find_java("", {"PATH": str(path)}, tmp_path / "system").version == taken


@pytest.mark.parametrize(
    ("version", "records", "shares"),
    [("21.0.1+1", "ArchiveClassesAtExit", "SharedArchiveFile"),
     ("25+36", "AOTCacheOutput", "AOTCache")],
)  # fmt: skip
def test_class_data_takes_the_form_that_the_java_has(
    tmp_path: Path, version: str, records: str, shares: str
) -> None:
    """An ahead-of-time cache from Java 25 on, an archive of classes before."""
    java = find_java(str(java_in(tmp_path / "jvm", version)), {})
    assert java.records(Path("f")) == f"-XX:{records}=f"
    assert java.shares(Path("f")) == f"-XX:{shares}=f"


def test_no_java(tmp_path: Path) -> None:
    """Without a Java the error names the package to install, and what was found that is too old."""
    old = java_in(tmp_path / "old", "11.0.2+9")
    with pytest.raises(ConfigInvalid, match=r"no Java 17 or later found, only 11\.0\.2") as caught:
        find_java("", {"JAVA_HOME": str(old)}, tmp_path / "none")
    assert "openjdk-17-jre-headless" in caught.value.hint
    with pytest.raises(ConfigInvalid, match="Keycloak needs 17"):
        find_java(str(old), {}, tmp_path / "none")
    with pytest.raises(ConfigInvalid, match="holds no Java"):
        find_java(str(tmp_path), {}, tmp_path / "none")
