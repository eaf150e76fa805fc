"""How servers are reached: by mode, with the engine away, and what holders are told of it."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

from warminfra.core.errors import ConfigInvalid, Unreachable
from warminfra.core.reach import Reach
from warminfra.instances.reach import ReachFinder, Wanted
from warminfra.testing.clock import ManualClock

GATEWAY = "172.17.0.1"


class Bridge:
    """An engine's bridge that may be away, or move. Counts how often it was asked."""

    def __init__(self) -> None:
        self.address = GATEWAY
        self.away = False
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.away:
            raise Unreachable("the engine does not answer")
        return self.address


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture
def find(tmp_path: Path, bridge: Bridge) -> Any:
    """Make a finder, as each start of the service does."""

    def made(**wanted: Any) -> ReachFinder:
        return ReachFinder(
            Wanted(**wanted), tmp_path / "state", tmp_path / "run", ManualClock(), bridge
        )

    return made


def test_mode_host_is_plain_http_on_loopback(find: Any, tmp_path: Path, bridge: Bridge) -> None:
    """Nothing is asked, nothing written, nothing handed out."""
    reach = find()()
    assert reach == Reach()
    assert (reach.base_url(8080), reach.public_url(8080)) == ("http://127.0.0.1:8080",) * 2
    assert (reach.trust, reach.hosts, reach.ca_file, bridge.asked) == (None, {}, None, 0)
    assert list(tmp_path.iterdir()) == []


def test_mode_node_is_https_on_the_engines_bridge(find: Any, bridge: Bridge) -> None:
    """Without a name the address stands in the URL: nobody has anything to resolve."""
    finder = find(mode="node")
    reach = finder()
    assert reach.base_url(8443) == reach.public_url(8443) == f"https://{GATEWAY}:8443"
    assert reach.hosts == {}
    assert finder() is reach
    assert bridge.asked == 1


def test_a_name_is_in_the_public_url_and_in_the_host_entries(find: Any) -> None:
    """The service's own door stays the address, which needs no name server."""
    reach = find(mode="node", name="sso.test", address="10.0.0.5")()
    assert reach.public_url(8443) == "https://sso.test:8443"
    assert reach.base_url(8443) == "https://10.0.0.5:8443"
    assert reach.hosts == {"sso.test": "10.0.0.5"}


def test_the_address_is_remembered_while_the_engine_is_away(find: Any, bridge: Bridge) -> None:
    """It is part of every issuer: an engine that is down when the service starts changes nothing.

    One that has moved its bridge does: the old address is nobody's then."""
    first = find(mode="node")()
    bridge.away = True
    assert find(mode="node")().address == first.address
    bridge.away, bridge.address = False, "172.30.0.1"
    assert find(mode="node")().address == "172.30.0.1"


def test_an_address_that_nobody_knows_is_told_and_asked_for_again(
    find: Any, bridge: Bridge
) -> None:
    """Without engine, record or setting: one line with the remedy; later it works."""
    bridge.away = True
    finder = find(mode="node")
    with pytest.raises(Unreachable, match=r"reach\.address"):
        finder()
    bridge.away = False
    assert finder().address == GATEWAY


def test_every_user_can_read_the_ca_and_nobody_else_its_key(find: Any, tmp_path: Path) -> None:
    """The files of the lease are 0644, with the system's own certificates in the bundle."""
    trust = find(mode="node")().trust
    for file in (trust.ca_file, trust.bundle_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert trust.ca_file.read_text() == trust.ca_pem
    assert trust.ca_pem in trust.bundle_file.read_text()
    alone = ssl.create_default_context(cafile=trust.ca_file)
    assert len(alone.get_ca_certs()) == 1
    assert len(ssl.create_default_context(cafile=trust.bundle_file).get_ca_certs()) > 1
    assert stat.S_IMODE((tmp_path / "state" / "ca" / "ca.key").stat().st_mode) == 0o600


def test_mode_front_is_plain_http_behind_the_proxys_url(find: Any) -> None:
    """The server is called what the proxy is called; the service goes by its own door."""
    reach = find(
        mode="front",
        public_url="https://sso.example/",
        http_port=8080,
        trusted_proxies=("10.0.0.2",),
    )()
    assert reach.base_url(8080) == "http://127.0.0.1:8080"
    assert reach.public_url(8080) == "https://sso.example"
    assert (reach.proxies, reach.trust, reach.hosts) == (("10.0.0.2",), None, {})
    with pytest.raises(ConfigInvalid, match="not to one on 8081"):
        reach.public_url(8081)
    several = find(mode="front", public_url="https://sso.example:{port}", http_port=8080)()
    assert several.public_url(7) == "https://sso.example:7"


def test_the_proxys_own_ca_is_handed_out(find: Any, tmp_path: Path) -> None:
    """`reach.ca_file` reaches holders as our own CA would; what is no certificate is refused."""
    ca = find(mode="node")().trust.ca_pem
    (tmp_path / "proxy.pem").write_text(ca)
    reach = find(mode="front", public_url="https://p", ca_file=tmp_path / "proxy.pem")()
    assert reach.trust is not None
    assert reach.trust.ca_pem == ca
    (tmp_path / "proxy.pem").write_text("nothing")
    with pytest.raises(ConfigInvalid, match=r"proxy\.pem"):
        find(mode="front", public_url="https://p", ca_file=tmp_path / "proxy.pem")()


def test_certificates_of_running_servers_are_renewed(find: Any, tmp_path: Path) -> None:
    """What was issued is renewed in time; a folder that is gone is not made again."""
    finder = find(mode="node")
    reach = finder()
    pair = reach.certificates.issue(tmp_path / "a" / "tls")
    gone = reach.certificates.issue(tmp_path / "b" / "tls")
    before = pair.certificate.read_bytes()
    finder.clock.advance(20 * 86400)
    gone.certificate.unlink()
    gone.key.unlink()
    gone.key.parent.rmdir()
    finder.renew()
    assert pair.certificate.read_bytes() != before
    assert not gone.key.parent.exists()
