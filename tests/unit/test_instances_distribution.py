"""What the Keycloak distribution promises before a server runs: archive, digest, build, command."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.fake_java import java_in, script
from warminfra.core.errors import ConfigInvalid, Unreachable
from warminfra.core.reach import Keypair, Reach
from warminfra.core.secret import Secret
from warminfra_keycloak import class_path
from warminfra_keycloak.distribution import KeycloakDistribution

KC = """#!/bin/sh
cd "$(dirname "$0")/.." && mkdir -p lib/quarkus && echo "$@" > lib/quarkus/built
main=org.keycloak.quarkus.runtime.KeycloakMain
printf "$main"'\\000\\017app/first app.jar\\000\\016app/second.jar\\000' \
    > lib/quarkus/quarkus-application.dat
echo "built with $JAVA_HOME"
"""
BROKEN_KC = "#!/bin/sh\necho 'ERROR: unknown option' >&2\nexit 2\n"
PORTS = {"http": 8080, "management": 9000}


def silent(_: str) -> None:
    """Take a line of progress and drop it."""


def home_in(folder: Path, kc: str = KC, version: str = "26.7.4") -> Path:
    """Make a small unpacked distribution."""
    script(folder / "bin" / "kc.sh", kc)
    for name in ("lib", "conf", "providers", "themes"):
        (folder / name).mkdir()
    (folder / "lib" / "app").mkdir()
    for name in ("second.jar", "first app.jar", "of-another-database.jar"):
        (folder / "lib" / "app" / name).write_text("jar")
    (folder / "conf" / "keycloak.conf").write_text("db=postgres\n")
    (folder / "version.txt").write_text(f"Keycloak - Version {version}\n")
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small distribution as tar.gz."""
    home = home_in(tmp_path / "made" / "keycloak-26.7.4")
    path = tmp_path / "keycloak.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(home, "keycloak-26.7.4")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Settings with a Java that serves and no network."""
    return {"java_home": java_in(tmp_path / "jvm", "17.0.15+6"), "offline": True}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def environ(tmp_path: Path, **more: str) -> Mapping[str, str]:
    """An environment with nothing of this machine but the basic tools."""
    return {"PATH": os.defpath, "HOME": str(tmp_path), **more}


def test_archive_is_checked_unpacked_and_built_once(
    tmp_path: Path, archive: Path, settings: dict[str, Any]
) -> None:
    """An archive with the right digest becomes a built home; asking again does nothing."""
    settings |= {"archive": archive, "sha256": digest(archive)}
    lines: list[str] = []
    distribution = KeycloakDistribution(settings, environ(tmp_path))
    home = distribution.obtain(tmp_path / "cache", lines.append)
    assert "--db=dev-file" in (home / "lib" / "quarkus" / "built").read_text()
    assert not (home / "conf" / "keycloak.conf").exists()
    assert [line.split()[0] for line in lines] == ["getting", "building"]
    with ZipFile(home / class_path.JAR) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
    assert "Class-Path: lib/app/first%20app.jar lib/app/second.jar\r\n" in manifest
    assert distribution.obtain(tmp_path / "cache", lines.append) == home
    assert len(lines) == 2
    assert not list((tmp_path / "cache").rglob(".*part-*"))


def test_a_build_that_does_not_tell_what_it_consists_of_is_refused(
    tmp_path: Path, archive: Path, settings: dict[str, Any]
) -> None:
    """A jar that is named and not there is an error that names it, and no build is kept."""
    home = home_in(tmp_path / "home")
    (home / "lib" / "app" / "second.jar").unlink()
    distribution = KeycloakDistribution(settings | {"home": str(home)}, environ(tmp_path))
    with pytest.raises(ConfigInvalid, match=r"there is no lib/app/second\.jar"):
        distribution.obtain(tmp_path / "cache", silent)
    assert not list((tmp_path / "cache" / "keycloak").glob("*26*"))


def test_the_class_path_keeps_to_the_lines_of_a_manifest(tmp_path: Path) -> None:
    """72 bytes a line, whatever the names: Java reads them as one."""
    home = tmp_path / "home"
    (home / "lib" / "app").mkdir(parents=True)
    (home / "lib" / "quarkus").mkdir()
    names = [f"app/{'long-' * number}name.jar" for number in range(30)]
    for name in names:
        (home / "lib" / name).touch()
    told = "\0".join((class_path.MAIN, *names))
    (home / "lib" / "quarkus" / "quarkus-application.dat").write_text(told)
    class_path.write_jar(home)
    with ZipFile(home / class_path.JAR) as jar:
        lines = jar.read("META-INF/MANIFEST.MF").decode().split("\r\n")
    assert max(map(len, lines)) == 72
    joined = "".join(line[1:] if line.startswith(" ") else f"\n{line}" for line in lines)
    assert "Class-Path: " + " ".join(f"lib/{name}" for name in names) in joined


def test_cached_archive_serves_offline(
    tmp_path: Path, archive: Path, settings: dict[str, Any]
) -> None:
    """What was had once is not needed again: neither the file nor the network."""
    settings |= {"sha256": digest(archive)}
    KeycloakDistribution(settings | {"archive": archive}, environ(tmp_path)).obtain(
        tmp_path / "cache", silent
    )
    archive.unlink()
    settings |= {"java_home": java_in(tmp_path / "jvm21", "21.0.1+1")}
    home = KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)
    assert (home / "lib" / "quarkus" / "built").exists()


def test_archive_of_the_local_maven_repository_is_found(
    tmp_path: Path, archive: Path, settings: dict[str, Any]
) -> None:
    """An archive that Maven has already is taken from there, checked like any other."""
    artifact = "org/keycloak/keycloak-quarkus-dist/26.7.4/keycloak-quarkus-dist-26.7.4.tar.gz"
    local = tmp_path / ".m2" / "repository" / artifact
    local.parent.mkdir(parents=True)
    archive.rename(local)
    settings |= {"sha256": digest(local)}
    KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)


def test_wrong_digest(tmp_path: Path, archive: Path, settings: dict[str, Any]) -> None:
    """A wrong digest is told with both digests, and the file is not kept."""
    settings |= {"archive": archive, "sha256": "0" * 64}
    with pytest.raises(ConfigInvalid) as caught:
        KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)
    assert digest(archive) in caught.value.message
    assert "0" * 64 in caught.value.message
    assert "keycloak.sha256" in caught.value.hint
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["lock"]


def test_damaged_cache_is_not_used(tmp_path: Path, archive: Path, settings: dict[str, Any]) -> None:
    """A file in the cache that has changed since it was checked is thrown away."""
    kept = tmp_path / "cache" / "downloads" / f"sha256-{digest(archive)}"
    kept.parent.mkdir(parents=True)
    kept.write_text("damaged")
    settings |= {"sha256": digest(archive)}
    with pytest.raises(ConfigInvalid, match="offline"):
        KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)
    assert not kept.exists()


def test_offline_downloads_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Offline and without an archive there is one line with the remedy, and no download."""
    maven = script(tmp_path / "tools" / "mvn", "#!/bin/sh\ntouch ../called\n")
    path = f"{maven.parent}:{os.defpath}"
    with pytest.raises(ConfigInvalid, match="offline") as caught:
        KeycloakDistribution(settings, environ(tmp_path, PATH=path)).obtain(
            tmp_path / "cache", silent
        )
    assert "keycloak.archive" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("called"))


def test_maven_fetches(tmp_path: Path, archive: Path, settings: dict[str, Any]) -> None:
    """Online the archive is had through Maven, whatever repository its user has configured."""
    copy = f'#!/bin/sh\nfor a; do case $a in -DoutputDirectory=*) cp {archive} "${{a#*=}}";; esac; done'  # noqa: E501
    maven = script(tmp_path / "tools" / "mvn", copy)
    settings |= {"offline": False, "sha256": digest(archive)}
    path = f"{maven.parent}:{os.defpath}"
    KeycloakDistribution(settings, environ(tmp_path, PATH=path)).obtain(tmp_path / "cache", silent)


@pytest.mark.parametrize(
    ("maven", "error", "remedy"),
    [("exit 1", Unreachable, "mvn dependency:get"), (None, ConfigInvalid, "keycloak.archive")],
)
def test_maven_missing_or_failing(
    tmp_path: Path,
    settings: dict[str, Any],
    maven: str | None,
    error: type[Exception],
    remedy: str,
) -> None:
    """Without Maven, or if it fails, the error says how to go on."""
    tools = tmp_path / "tools"
    tools.mkdir()
    if maven:
        script(tools / "mvn", f"#!/bin/sh\n{maven}\n")
    settings |= {"offline": False}
    with pytest.raises(error, match=remedy):
        KeycloakDistribution(settings, environ(tmp_path, PATH=str(tools))).obtain(
            tmp_path / "cache", silent
        )


@pytest.mark.parametrize("given", ["setting", "environment"])
def test_read_only_home_is_copied(tmp_path: Path, settings: dict[str, Any], given: str) -> None:
    """A KEYCLOAK_HOME may be read-only: nothing is written there, the build is in a copy."""
    source = home_in(tmp_path / "given")
    (source / "data").mkdir()
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    for path in (*source.rglob("*"), source):
        path.chmod(path.stat().st_mode & ~0o222)
    env = environ(tmp_path, **({"KEYCLOAK_HOME": str(source)} if given == "environment" else {}))
    if given == "setting":
        settings |= {"home": source}
    home = KeycloakDistribution(settings, env).obtain(tmp_path / "cache", silent)
    assert (home / "lib" / "quarkus" / "built").exists()
    assert not (home / "data").exists()
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


def test_home_of_another_version(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A home is taken only if it holds the configured version."""
    settings |= {"home": home_in(tmp_path / "given", version="26.7.1")}
    with pytest.raises(ConfigInvalid, match=r"26\.7\.1, keycloak\.version is 26\.7\.4"):
        KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)


def test_failing_build_leaves_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A build that fails is told with its own words and leaves no half-built home."""
    settings |= {"home": home_in(tmp_path / "given", BROKEN_KC)}
    with pytest.raises(ConfigInvalid, match="ERROR: unknown option"):
        KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)
    assert [path.name for path in (tmp_path / "cache" / "keycloak").iterdir()] == ["lock"]


def test_leftovers_of_a_killed_build_go(
    tmp_path: Path, archive: Path, settings: dict[str, Any]
) -> None:
    """What a killed build or download left behind is removed by the next."""
    for folder in ("keycloak", "downloads"):
        (tmp_path / "cache" / folder / ".x.part-old").mkdir(parents=True)
    settings |= {"archive": archive, "sha256": digest(archive)}
    KeycloakDistribution(settings, environ(tmp_path)).obtain(tmp_path / "cache", silent)
    assert not list((tmp_path / "cache").rglob(".*part-*"))


def test_unknown_version_needs_a_digest(tmp_path: Path) -> None:
    """Another version is not taken on trust: it needs its digest."""
    with pytest.raises(ConfigInvalid, match=r"no SHA-256 known for Keycloak 26\.9\.0"):
        KeycloakDistribution({"version": "26.9.0"}, environ(tmp_path))


# ---------------------------------------------------------------- command


def test_command_shows_no_secret_and_binds_loopback(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """No secret is in argv, no path in the database's URL; loopback only; no commit is lost."""
    home, data = home_in(tmp_path / "home"), tmp_path / "data"
    distribution = KeycloakDistribution(settings, environ(tmp_path))
    argv, env = distribution.command(home, data, PORTS, Secret("hidden"))
    assert "hidden" not in " ".join(argv)
    assert env["KC_BOOTSTRAP_ADMIN_CLIENT_SECRET"] == "hidden"
    for option in ("--http-host=127.0.0.1", "--http-management-host=127.0.0.1", "--cache=local"):
        assert option in argv
    (url,) = [word for word in argv if word.startswith("--db-url=")]
    assert ";WRITE_DELAY=0" in url
    assert "AUTO_SERVER" not in url
    assert str(tmp_path) not in url
    argv, env = distribution.command(home, data, PORTS, None)
    assert not [name for name in env if "BOOTSTRAP" in name]
    assert (argv, env) == distribution.command(home, data, PORTS, None)


class OneCertificate:
    """Issues the same pair for everybody, and remembers for whom."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        self.asked: list[Path] = []

    def issue(self, folder: Path) -> Keypair:
        self.asked.append(folder)
        return Keypair(folder / "server.pem", folder / "server.key")


def test_with_a_certificate_plain_http_is_off(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The server speaks TLS on its address, under one URL; management stays plain on loopback."""
    home, data = home_in(tmp_path / "home"), tmp_path / "data"
    certificates = OneCertificate(tmp_path)
    reach = Reach("172.17.0.1", "sso.test", certificates)
    distribution = KeycloakDistribution(settings, environ(tmp_path), lambda: reach)
    argv, _ = distribution.command(home, data, PORTS, None)
    for option in (
        "--http-host=172.17.0.1",
        "--hostname=https://sso.test:8080",
        "--http-enabled=false",
        "--https-port=8080",
        f"--https-certificate-file={data / 'tls' / 'server.pem'}",
        f"--https-certificate-key-file={data / 'tls' / 'server.key'}",
        "--http-management-host=127.0.0.1",
        "--http-management-scheme=http",
    ):
        assert option in argv
    assert not [word for word in argv if word.startswith("--http-port")]
    assert certificates.asked == [data / "tls"]
    access = distribution.access(PORTS, {})
    assert (access.base_url, access.url) == ("https://172.17.0.1:8080", "https://sso.test:8080")
    assert access.ca_file == certificates.ca_file
    assert distribution.address == "172.17.0.1"


def test_the_first_start_is_on_loopback_whatever_the_reach(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """A snapshot is the same for every reach, and needs neither engine nor certificate."""

    def unknown() -> Reach:
        raise Unreachable("the engine is away")

    home, data = home_in(tmp_path / "home"), tmp_path / "data"
    plain = KeycloakDistribution(settings, environ(tmp_path))
    other = KeycloakDistribution(settings, environ(tmp_path), unknown)
    first = Secret("first")
    assert other.command(home, data, PORTS, first) == plain.command(home, data, PORTS, first)
    assert other.fingerprint() == plain.fingerprint()


def test_behind_a_proxy_only_its_headers_are_believed(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Plain HTTP behind the proxy's URL; forwarded headers count from its addresses alone."""
    reach = Reach(
        front="https://sso.example", proxy_headers="forwarded", proxies=("10.0.0.2", "10.1.0.0/16")
    )
    distribution = KeycloakDistribution(settings, environ(tmp_path), lambda: reach)
    argv, _ = distribution.command(home_in(tmp_path / "home"), tmp_path / "data", PORTS, None)
    for option in (
        "--http-host=127.0.0.1",
        "--hostname=https://sso.example",
        "--proxy-headers=forwarded",
        "--proxy-trusted-addresses=10.0.0.2,10.1.0.0/16",
    ):
        assert option in argv
    assert distribution.access(PORTS, {}).base_url == "http://127.0.0.1:8080"


def test_instances_do_not_share_what_keycloak_writes(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Each instance has a home of its own; the built one is only linked to."""
    home = home_in(tmp_path / "home")
    distribution = KeycloakDistribution(settings, environ(tmp_path))
    for name in ("a", "b"):
        argv, _ = distribution.command(home, tmp_path / name, PORTS, None)
        assert f"-Dkc.home.dir={tmp_path / name / 'home'}" in argv
        assert (tmp_path / name / "home" / "lib").readlink() == home / "lib"


def test_fingerprint_covers_build_java_and_options(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """The fingerprint changes with what a verdict depends on, and not with sizes."""

    def fingerprint(**more: Any) -> Mapping[str, str]:
        return KeycloakDistribution(settings | more, environ(tmp_path)).fingerprint()

    plain = fingerprint()
    assert plain == fingerprint(heap="2g")
    for changed in (
        fingerprint(sha256="1" * 64),
        fingerprint(transaction_timeout=30.0),
        fingerprint(outgoing=False),
        fingerprint(java_home=java_in(tmp_path / "jvm25", "25+36")),
    ):
        assert changed != plain
