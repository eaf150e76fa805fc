"""X8: one browser profile that goes from lease to lease is taken for nobody that it is not."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.audit import Browser
from warminfra.core.models import JsonObject

_CLAIMS = ("iss", "sub", "sid")


class Profile:
    """The same cookie jar at A, then at B, then at a later lease, as a test suite's browser has it.

    Signed in at A it is asked at B; subject, session and issuer are disjoint; each cookie is of one
    tenant's path; signing in at B leaves A's session as it was, and signing out of A leaves B's.
    """

    name = "browser profile"
    channels = ("X8",)

    def run(self, world: World) -> None:
        """One profile, two leases at once and one after."""
        first, second = world.scratch.lease(), world.scratch.lease()
        browser = world.scratch.surface.browser()
        mine = browser.sign_in(first)
        self._control(world, browser.comes_back(first) == mine, "A's session is not resumed")
        self._stranger(world, browser, second, "B, after a login at A")
        theirs = browser.sign_in(second)
        for claim in _CLAIMS:
            world.attempts += 1
            if mine[claim] == theirs[claim]:
                self._report(world, f"{claim} of two leases", f"{claim} is the same at both")
        self._paths(world, browser, (first, second))
        self._same(world, browser, first, mine, "a login at B changes A's session")
        browser.sign_out(first)
        self._control(world, not browser.comes_back(first), "A's session outlives its logout")
        self._same(world, browser, second, theirs, "a logout at A changes B's session")
        world.scratch.release(first)
        self._same(world, browser, second, theirs, "A's end changes B's session")
        later = world.scratch.lease()
        self._stranger(world, browser, later, "a later lease")
        world.scratch.release(second, later)

    def _stranger(self, world: World, browser: Browser, lease: JsonObject, where: str) -> None:
        world.attempts += 1
        if browser.comes_back(lease):
            self._report(world, f"sign-on at {where}", "it is signed in without being asked")

    def _same(
        self, world: World, browser: Browser, lease: JsonObject, before: object, what: str
    ) -> None:
        world.attempts += 1
        if browser.comes_back(lease) != before:
            self._report(world, what, "the profile is taken for another, or for nobody")

    def _paths(self, world: World, browser: Browser, leases: tuple[JsonObject, ...]) -> None:
        own = [str(lease["tenant"]) for lease in leases]
        cookies = browser.cookies()
        if not cookies:
            raise AssertionError("the profile has no cookie after two logins")
        for name, path in cookies:
            world.attempts += 1
            if not any(f"/{tenant}/" in f"{path}/" for tenant in own):
                detail = f"{name} is sent to {path}, which is no tenant's own"
                self._report(world, f"path of the cookie {name}", detail)

    def _control(self, world: World, passed: bool, otherwise: str) -> None:
        if not passed:
            raise AssertionError(otherwise)
        world.controls += 1

    def _report(self, world: World, witness: str, detail: str) -> None:
        world.report(Finding("X8", self.name, witness, detail))
