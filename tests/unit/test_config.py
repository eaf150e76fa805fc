"""Settings: which source wins, what is refused, and that every fault is told at once."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warminfra.config import Loaded, load, parse_duration, parse_size, rows, section_mapping
from warminfra.config.urls import require_url
from warminfra.core.errors import ConfigInvalid
from warminfra.core.secret import MASK, Secret


class Place:
    """A machine of its own: home, working directory, system file, environment."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.home = root / "work", root / "home"
        self.cwd.mkdir()
        self.home.mkdir()
        self.user = self.home / ".config" / "warminfra" / "config.toml"
        self.user.parent.mkdir(parents=True)
        self.system = root / "etc.toml"
        self.local = self.cwd / "warminfra.toml"
        self.env = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(root / "run")}

    def load(self, **flags: str) -> Loaded:
        """Load with flags given as `section__key`."""
        dotted = {name.replace("__", ".", 1): value for name, value in flags.items()}
        return load(dotted, cwd=self.cwd, environ=self.env, system_file=self.system)

    def faults(self, **flags: str) -> list[str]:
        """Return the lines of the one error that loading ends with."""
        with pytest.raises(ConfigInvalid) as caught:
            self.load(**flags)
        assert caught.value.exit_code == 78
        return caught.value.message.splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_highest_source_wins_and_is_named(place: Place) -> None:
    """A value comes from flag, environment, ./warminfra.toml, user's file, /etc, in that order."""
    place.system.write_text("[leases]\nttl = '1m'\n")
    assert place.load().settings.leases.ttl == timedelta(minutes=1)
    place.user.write_text("[leases]\nttl = '2m'\n")
    assert place.load().origins["leases.ttl"] == f"{place.user}:2"
    place.local.write_text("\n[leases]\nttl = '3m'\n")
    assert place.load().origins["leases.ttl"] == f"{place.local}:3"
    place.env["WARMINFRA_LEASES__TTL"] = "4m"
    assert place.load().origins["leases.ttl"] == "env WARMINFRA_LEASES__TTL"
    loaded = place.load(leases__ttl="5m")
    assert loaded.settings.leases.ttl == timedelta(minutes=5)
    assert loaded.origins["leases.ttl"] == "flag"
    assert loaded.origins["leases.grace"] == "default"


def test_policy_is_never_read_from_what_is_under_test(place: Place) -> None:
    """`[sharing]` in ./warminfra.toml, in the environment or as a flag is an error."""
    place.local.write_text("[sharing]\npolicy = 'unproven'\n[audit]\n")
    place.env["WARMINFRA_SHARING__POLICY"] = "unproven"
    lines = place.faults(sharing__policy="unproven")
    assert [line.split(": ")[0] for line in lines] == [
        f"{place.local}:1",
        f"{place.local}:3",
        "env WARMINFRA_SHARING__POLICY",
        "flag sharing.policy",
    ]
    assert all("user's or the system's configuration" in line for line in lines)


def test_policy_is_read_from_the_users_file(place: Place) -> None:
    """The user's configuration sets the sharing policy; the default is `proven`."""
    assert place.load().settings.sharing.policy == "proven"
    place.user.write_text("[sharing]\npolicy = 'unproven'\n")
    assert place.load().settings.sharing.policy == "unproven"


def test_warminfra_config_names_the_users_file_but_not_the_local_one(place: Place) -> None:
    """WARMINFRA_CONFIG replaces the user's file; it cannot make ./warminfra.toml a policy."""
    other = place.home / "other.toml"
    other.write_text("[sharing]\npolicy = 'never'\n")
    place.user.write_text("[sharing]\npolicy = 'unproven'\n")
    place.env["WARMINFRA_CONFIG"] = str(other)
    assert place.load().settings.sharing.policy == "never"
    place.local.write_text("[leases]\nttl = '3m'\n")
    place.env["WARMINFRA_CONFIG"] = "warminfra.toml"
    assert "sets no policy" in place.faults()[0]
    place.env["WARMINFRA_CONFIG"] = "/nowhere.toml"
    assert "is not a file" in place.faults()[0]


def test_all_faults_are_told_at_once_with_their_lines(place: Place) -> None:
    """Unknown keys name the nearest known one; wrong types and units name the form expected."""
    place.local.write_text(
        "[service]\nstate_dri = '/x'\ndisk_reserve = '5 apples'\n"
        "[leases]\nttl = 30\n[keycloak]\noffline = 'maybe'\nhttp_port = 70000\n[lease]\nx = 1\n"
    )
    place.env |= {"WARMINFRA_POOL__MINN": "3", "WARMINFRA_POOL__MAX": "few"}
    at = place.local
    lines = place.faults(leases__tll="1m")
    assert lines == [
        f"{at}:2: service.state_dri: unknown; did you mean 'state_dir'?",
        f"{at}:3: service.disk_reserve: '5 apples' does not fit; "
        'expected a size such as "512MiB" or a number of bytes',
        f"{at}:5: leases.ttl: 30 does not fit; "
        'expected a duration such as "90s", "30m", "2h" or "7d"',
        f"{at}:7: keycloak.offline: 'maybe' does not fit; expected true or false",
        f"{at}:8: keycloak.http_port: 70000 does not fit; expected a whole number from 0 to 65535",
        f"{at}:9: lease: unknown; did you mean 'leases'?",
        "env WARMINFRA_POOL__MAX: pool.max: 'few' does not fit; "
        "expected a whole number of at least 0",
        "env WARMINFRA_POOL__MINN: unknown; did you mean 'WARMINFRA_POOL__MIN'?",
        "flag leases.tll: unknown; did you mean 'leases.ttl'?",
    ]


def test_broken_toml_gives_its_own_line(place: Place) -> None:
    """A syntax error is told with the line where it stands."""
    place.local.write_text("[service]\ngroup = 'x'\nlog_level = = 'info'\n")
    assert place.faults()[0].startswith(f"{place.local}:3: broken TOML: ")
    place.local.write_bytes(b"[service]\ngroup = '\xff'\n")
    assert place.faults() == [f"{place.local}:2: not UTF-8 text"]


def test_settings_that_contradict_each_other_are_refused(place: Place) -> None:
    """Limits in the wrong order, a version without digest, a URL without credentials."""
    place.local.write_text(
        "[leases]\nttl = '7h'\n[pool]\nmin = 6\n[instances]\nhard_cap = 50\n"
        "[keycloak]\nversion = '26.7.3'\nurl = 'http://127.0.0.1:1'\n"
        "admin_password = 'x'\nadmin_password_file = 'y'\nmemory_limit = '256MiB'\n"
    )
    lines = place.faults()
    keys = [line.removeprefix(f"{place.local}:").split(": ")[:2] for line in lines]
    assert keys == [
        ["2", "leases.ttl"],
        ["4", "pool.min"],
        ["6", "instances.hard_cap"],
        ["12", "keycloak.memory_limit"],
        ["8", "keycloak.version"],
        ["11", "keycloak.admin_password_file"],
        ["9", "keycloak.url"],
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://::1",
        "http://[::1]x",
        "http://[zz]",
        "http://sso:x",
        "http://sso:99999",
        "http://sso:0",
        "http://300.1.1.1",
        "http://a..b",
        f"http://{'a' * 64}.b",
        "http://\u2603.net",
        "http://xn--",
        "http://sso\x01",
        "http://",
        "http://alice@sso",
        "http://sso?a",
    ],
)
@pytest.mark.parametrize("key", ["keycloak.url", "reach.public_url", "mirror.upstream"])
def test_a_malformed_url_is_one_line_with_the_form_expected(
    place: Place, key: str, url: str
) -> None:
    """Wherever a URL is set, one that nobody can connect to is told with its place, its value and
    one that would do."""
    section, name = key.split(".")
    place.local.write_text(f"[{section}]\n{name} = {json.dumps(url)}\n")
    (line,) = place.faults()
    assert line.startswith(f"{place.local}:2: {key}: {url!r} does not fit; expected a")
    assert "://" in line.partition("; expected ")[2]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://[::1]:8080",
        "https://SSO_1.ci.example./auth/",
        "http://127.0.0.1",
        "https://sso.ex\u00e4mple",
        "https://xn--exmple-cua.test",
    ],
)
def test_a_url_that_is_taken_is_one_for_the_http_client_too(place: Place, url: str) -> None:
    """Addresses of either kind, names however they are written, a path."""
    place.env["WARMINFRA_KEYCLOAK__ADMIN_PASSWORD"] = "x"
    loaded = place.load(keycloak__url=url, keycloak__admin_username="admin")
    assert loaded.settings.keycloak.url == url
    assert httpx.URL(url).host


@given(st.text("htps:/[]@.{}-%a1\\\u00e4\x00\u2603x", max_size=12))
def test_whatever_is_taken_as_a_url_never_fails_later(rest: str) -> None:
    """What the settings take, the HTTP client takes: it raises nothing of its own."""
    text = f"http://{rest}"
    try:
        require_url(text)
    except ValueError:
        return
    assert httpx.URL(text).host
    httpx.URL(text).raw_host.decode("ascii").encode("idna")


@pytest.mark.parametrize("host", ["tcp://:2375", "127.0.0.1:2375"])
def test_an_address_of_the_engine_is_left_to_docker(place: Place, host: str) -> None:
    """It knows forms that are no URL, and one without a host, which is this machine."""
    assert place.load(engine__host=host).settings.engine.host == host


def test_a_recipes_file_in_the_working_directory_is_no_obstacle(place: Place) -> None:
    """Recipe tables are passed over, its [pool] too; settings beside them count."""
    place.local.write_text("[sso]\nadmin = true\n[pool]\nmin = 9\nmax = 9\n[leases]\nttl = '3m'\n")
    settings = place.load().settings
    assert (settings.pool.min, settings.leases.ttl) == (2, timedelta(minutes=3))


def test_variables_of_commands_are_no_settings(place: Place) -> None:
    """A lease's own variables and switches may stand in the environment; empty counts as unset."""
    place.env |= {
        "WARMINFRA_DEBUG": "1",
        "WARMINFRA_LIVE": "required",
        "WARMINFRA_LEASE_HANDLE": "h",
        "WARMINFRA_LEASE_ID": "i",
        "WARMINFRA_POOL__MIN": "",
        "NO_COLOR": "1",
    }
    assert place.load().settings.pool.min == 2


def test_directories_follow_xdg_even_for_root(place: Place, tmp_path: Path) -> None:
    """An XDG variable that is set decides; a relative one is ignored, as its standard says."""
    place.env |= {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CACHE_HOME": "relative"}
    loaded = place.load()
    assert loaded.settings.service.state_dir == tmp_path / "s" / "warminfra"
    assert loaded.origins["service.state_dir"] == "env XDG_STATE_HOME"
    assert loaded.settings.service.runtime_dir == tmp_path / "run" / "warminfra"
    assert loaded.origins["service.cache_dir"] == "default"


def test_relative_paths_count_from_where_they_are_written(place: Place) -> None:
    """A path in a file counts from the file's folder, elsewhere from the working directory."""
    place.user.write_text("[keycloak]\nhome = 'kc'\narchive = '~/kc.tar.gz'\n")
    place.env["WARMINFRA_SERVICE__STATE_DIR"] = "state"
    settings = place.load().settings
    assert settings.keycloak.home == place.user.parent / "kc"
    assert settings.keycloak.archive == place.home / "kc.tar.gz"
    assert settings.service.state_dir == place.cwd / "state"


def test_keycloak_home_and_java_home_of_the_machine_are_used(place: Place) -> None:
    """KEYCLOAK_HOME and JAVA_HOME fill in what no setting says; a setting wins."""
    place.env |= {"KEYCLOAK_HOME": "/opt/kc", "JAVA_HOME": "/opt/java"}
    loaded = place.load(keycloak__home="/mine")
    assert loaded.settings.keycloak.home == Path("/mine")
    assert loaded.settings.keycloak.java_home == Path("/opt/java")
    assert loaded.origins["keycloak.java_home"] == "env JAVA_HOME"


def test_secrets_are_masked_wherever_they_are_shown(place: Place) -> None:
    """`config show` and errors never print a secret, right or wrong."""
    place.env["WARMINFRA_KEYCLOAK__ADMIN_PASSWORD"] = "hunter2-hunter2"
    loaded = place.load()
    assert loaded.settings.keycloak.admin_password == Secret("hunter2-hunter2")
    shown = {key: value for key, value, _ in rows(loaded)}
    assert shown["keycloak.admin_password"] == MASK
    assert "hunter2" not in repr(loaded)
    place.user.write_text("[keycloak]\nadmin_client_secret = ['hunter2']\n")
    assert "hunter2" not in "\n".join(place.faults())


def test_every_setting_is_listed_with_value_and_origin(place: Place) -> None:
    """`config show` has one row a setting, in units that can be written back."""
    table = {key: (value, origin) for key, value, origin in rows(place.load())}
    assert table["leases.max_ttl"] == ("6h", "default")
    assert table["service.disk_reserve"] == ("512MiB", "default")
    assert table["keycloak.archive"] == ("", "default")
    assert table["sharing.require"] == ("audit+reviewer", "default")


def test_a_provider_gets_its_section_in_plain_units(place: Place) -> None:
    """Durations reach a provider in seconds, sizes in bytes, secrets still masked."""
    place.env["WARMINFRA_KEYCLOAK__ADMIN_PASSWORD"] = "x"
    options = section_mapping(place.load().settings.keycloak)
    assert options["transaction_timeout"] == 60.0
    assert options["heap"] == 512 << 20
    assert isinstance(options["admin_password"], Secret)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604800), ("1.5s", 1.5)]
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: float) -> None:
    """`90s`, `30m`, `2h`, `7d` are durations."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "1h30m", "9" * 40 + "d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A number without unit, a negative or an endless time is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - the caller words the message
        parse_duration(text)


def test_sizes_are_binary_unless_they_say_mb() -> None:
    """`512MiB` and `512m` are 2^20 each, `512MB` 10^6."""
    assert parse_size("512MiB") == parse_size("512m") == 512 << 20
    assert parse_size("512MB") == 512_000_000
    assert parse_size("1.5GiB") == 3 << 29


def test_loading_imports_nothing_heavy() -> None:
    """Reading the settings costs no third-party import: every command pays for it."""
    code = (
        "import sys; from warminfra.config import load; load();"
        "print(sorted(m for m in ('pydantic','platformdirs','difflib','typer','httpx','sqlalchemy')"
        " if m in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_findings_are_accepted_by_name_why_and_until(place: Place) -> None:
    """The reviewer's file names what may stand; a day may be written as TOML or as text."""
    place.user.write_text(
        '[[audit.accept]]\nchannel = "X13"\nwitness = "a"\nwhy = "known"\nuntil = 2026-12-31\n'
        '[[audit.accept]]\nchannel = "X1"\nwitness = "b"\nwhy = "known"\nuntil = "2026-12-30"\n'
    )
    accepted = place.load().settings.audit.accept
    assert [(one.name, str(one.until)) for one in accepted] == [
        ("X13:a", "2026-12-31"),
        ("X1:b", "2026-12-30"),
    ]


@pytest.mark.parametrize(
    "entry",
    ['channel = "X1"', 'channel = "X1"\nwitness = "a"\nwhy = ""\nuntil = 2026-12-31',
     'channel = "X1"\nwitness = "a"\nwhy = "w"\nuntil = "soon"'],
)  # fmt: skip
def test_an_acceptance_without_reason_or_end_is_refused(place: Place, entry: str) -> None:
    """Nothing is accepted for ever, or for no reason; the file and the key are named."""
    place.user.write_text(f"[[audit.accept]]\n{entry}\n")
    with pytest.raises(ConfigInvalid, match=r"audit\.accept"):
        place.load()


def test_reach_is_of_one_piece(place: Place) -> None:
    """A key of another mode, a front without URL or port, a loopback name: one line each."""
    assert place.load().settings.reach.trusted_proxies == ("127.0.0.1",)
    loaded = place.load(
        reach__mode="front",
        reach__public_url="https://sso.ci.example:{port}",
        reach__trusted_proxies="10.0.0.2, 172.18.0.0/16",
    )
    assert loaded.settings.reach.trusted_proxies == ("10.0.0.2", "172.18.0.0/16")
    cases = {
        "reach.name: means nothing": {"reach__name": "sso.test"},
        "reach.public_url: means nothing": {
            "reach__mode": "node",
            "reach__public_url": "https://x",
        },
        "set reach.public_url": {"reach__mode": "front"},
        "set keycloak.http_port": {"reach__mode": "front", "reach__public_url": "https://x"},
        "is loopback for browsers": {"reach__mode": "node", "reach__name": "sso.localhost"},
        "a host name in lower case": {"reach__mode": "node", "reach__name": "SSO_1"},
        "an IPv4 address": {"reach__mode": "node", "reach__address": "172.17.0.300"},
        "addresses or networks": {"reach__trusted_proxies": "proxy"},
    }
    for told, flags in cases.items():
        faults = place.faults(**flags)
        assert len(faults) == 1
        assert told in faults[0]
