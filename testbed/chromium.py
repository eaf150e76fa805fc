"""A real Chromium, without a window, with a profile of its own: what a person's browser does.

It trusts the CAs that it is given, in its own store, and checks everything else as ever. It is
driven over WebDriver by its own `chromedriver`.

    with Chromium.started(trusting=[ca_file]) as browser:
        browser.open("https://…")
        browser.click("#login")
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

SETUP = Path(__file__).resolve().parent.parent / "deploy" / "setup-browser.sh"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver names an element (W3C WebDriver, section 11)."""
_PATIENCE = 30.0
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in places; pages are ours
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
)


class BrowserTrouble(Exception):
    """What WebDriver answered instead."""


@dataclass(frozen=True)
class Chromium:
    """One browser session."""

    http: httpx.Client

    @classmethod
    @contextmanager
    def started(cls, trusting: Sequence[Path] = ()) -> Iterator[Chromium]:
        """Start one that trusts these CAs besides its own; end and forget it afterwards."""
        subprocess.run([SETUP], check=True)
        with tempfile.TemporaryDirectory(prefix="chromium-") as home:
            store = Path(home) / ".pki" / "nssdb"
            store.mkdir(parents=True)
            _certutil(store, "-N", "--empty-password")
            for number, ca in enumerate(trusting):
                _certutil(store, "-A", "-n", f"test {number}", "-t", "C,,", "-i", str(ca))
            with _driver(Path(home)) as http:
                options = {
                    "binary": "/usr/bin/chromium",
                    "args": [*_ARGUMENTS, f"--user-data-dir={home}/profile"],
                }
                wanted = {"browserName": "chrome", "goog:chromeOptions": options}
                made = _ask(http, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
                session = httpx.Client(
                    base_url=str(http.base_url.join(f"/session/{made['sessionId']}/")),
                    timeout=60.0,
                    trust_env=False,
                )
                with session:
                    try:
                        yield cls(session)
                    finally:
                        _ask(http, "DELETE", f"/session/{made['sessionId']}", None)

    def open(self, url: str) -> None:
        """Go there. Raises `BrowserTrouble` if the page cannot be had, as for a certificate."""
        _ask(self.http, "POST", "url", {"url": url})

    @property
    def url(self) -> str:
        return str(_ask(self.http, "GET", "url", None))

    def text(self, selector: str = "body") -> str:
        """Return the visible text of the first element that fits, waiting for it."""
        return str(self._on(selector, "GET", "text", None))

    def click(self, selector: str) -> None:
        """Click on what leads to another page, and wait until this one is left.

        The driver waits for a page that is on its way, but a form may be sent after it has looked.
        """
        until = time.monotonic() + _PATIENCE
        page = self._find("html")
        self._on(selector, "POST", "click", {})
        while self._stands(page):
            if time.monotonic() > until:
                raise BrowserTrouble(f"{self.url}: it stays after a click on {selector}")
            time.sleep(0.02)

    def fill(self, selector: str, text: str) -> None:
        """Type into it."""
        self._on(selector, "POST", "value", {"text": text})

    def there(self, selector: str) -> bool:
        """Say whether an element fits now."""
        query = {"using": "css selector", "value": selector}
        return bool(_ask(self.http, "POST", "elements", query))

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies that this page's server gets."""
        found: list[dict[str, Any]] = _ask(self.http, "GET", "cookie", None)
        return found

    def _on(self, selector: str, method: str, what: str, body: Any) -> Any:
        """Do it with the first element that fits. A page may be left between the two questions:
        then the element of the next one is meant."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return _ask(self.http, method, f"element/{self._find(selector)}/{what}", body)
            except BrowserTrouble as trouble:
                if "stale element" not in str(trouble) or time.monotonic() > until:
                    raise

    def _stands(self, element: str) -> bool:
        """Say whether the page that the element is of is still the one that is shown."""
        try:
            _ask(self.http, "GET", f"element/{element}/name", None)
        except BrowserTrouble as trouble:
            if "stale element" in str(trouble) or "no such element" in str(trouble):
                return False
            raise
        return True

    def _find(self, selector: str) -> str:
        query = {"using": "css selector", "value": selector}
        until = time.monotonic() + _PATIENCE
        while True:
            found = _ask(self.http, "POST", "elements", query)
            if found:
                return str(found[0][_ELEMENT])
            if time.monotonic() > until:
                raise BrowserTrouble(f"{self.url}: nothing fits {selector}")
            time.sleep(0.05)


@contextmanager
def _driver(home: Path) -> Iterator[httpx.Client]:
    from testbed.relying_party import free_port

    port = free_port()
    process = subprocess.Popen(
        ["chromedriver", f"--port={port}"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60.0, trust_env=False
        ) as http:
            until = time.monotonic() + _PATIENCE
            while True:
                with suppress(httpx.TransportError):
                    if _ask(http, "GET", "/status", None)["ready"]:
                        break
                if time.monotonic() > until:
                    raise BrowserTrouble("chromedriver does not answer")
                time.sleep(0.05)
            yield http
    finally:
        process.terminate()
        process.wait(30)


def _ask(http: httpx.Client, method: str, path: str, body: Any) -> Any:
    answer = http.request(method, path, json=body)
    value = answer.json()["value"]
    if answer.is_error:
        raise BrowserTrouble(f"{value['error']}: {value['message'].splitlines()[0]}")
    return value


def _certutil(store: Path, *arguments: str) -> None:
    subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True)
