"""The fingerprint: one digest of all that a verdict depends on."""

from __future__ import annotations

from collections.abc import Mapping

from warminfra.config.settings import Sharing
from warminfra.core.errors import ConfigInvalid
from warminfra.service.fingerprint import Fingerprint
from warminfra.testing.clock import ManualClock
from warminfra.testing.fake_provider import FakeLauncher, FakeServer


class Launcher(FakeLauncher):
    """Tells what it is made of, or cannot."""

    def __init__(self, told: Mapping[str, str] | None) -> None:
        super().__init__(FakeServer(ManualClock()))
        self.told = told

    def fingerprint(self) -> Mapping[str, str]:
        if self.told is None:
            raise ConfigInvalid("no Java 17 or later found")
        return self.told


def test_whatever_a_verdict_depends_on_changes_it() -> None:
    """Another build of the server, or another policy of the reviewer, is another fingerprint."""
    one = Fingerprint(Launcher({"archive": "a"}), Sharing()).digest()
    assert len(one) == 64
    assert one == Fingerprint(Launcher({"archive": "a"}), Sharing()).digest()
    assert one != Fingerprint(Launcher({"archive": "b"}), Sharing()).digest()
    assert one != Fingerprint(Launcher({"archive": "a"}), Sharing(policy="never")).digest()


def test_what_cannot_be_told_matches_no_verdict() -> None:
    """Without Java there is no fingerprint, yet status and refusals work; later there is one."""
    launcher = Launcher(None)
    fingerprint = Fingerprint(launcher, Sharing())
    assert fingerprint.digest() == ""
    launcher.told = {"archive": "a"}
    assert len(fingerprint.digest()) == 64
