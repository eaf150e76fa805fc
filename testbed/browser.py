"""A browser of the least kind: follows redirects, keeps cookies, fills in the login form.

Enough for the authorization-code flow through an app and Keycloak, and for the logout through both.
It looks at pages as a person does, by their links and forms, and knows no token.

    TESTBED_PASSWORD=… python -m testbed.browser http://127.0.0.1:8123 alice
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from types import TracebackType

import httpx


class LoginFailed(Exception):
    """The flow did not go as it must; says at which page, without tokens."""


@dataclass(slots=True)
class Form:
    """A form of a page."""

    id: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """The forms and links of one page, by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._open: Form | None = None
        self.feed(text)

    def form_with(self, name: str) -> Form | None:
        """Return the form that has a field called `name`."""
        return next((form for form in self.forms if name in form.fields), None)

    def form(self, form_id: str) -> Form | None:
        """Return the form with that id."""
        return next((form for form in self.forms if form.id == form_id), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = at.get("method", "get").lower()
            self._open = Form(at.get("id", ""), at.get("action", ""), method)
            self.forms.append(self._open)
        elif tag == "input" and self._open is not None and at.get("name"):
            if at.get("type") not in ("checkbox", "radio") or "checked" in at:
                self._open.fields[at["name"]] = at.get("value", "")
        elif tag == "a" and "href" in at:
            self.links.setdefault(at.get("id", at["href"]), at["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class _Jar(CookieJar):
    """As browsers do on loopback: cookies marked Secure travel over plain HTTP too."""

    def set_cookie(self, cookie: Cookie) -> None:
        cookie.secure = False
        super().set_cookie(cookie)


@dataclass(slots=True)
class Session:
    """A person at the app. `timings` are milliseconds by step, of the last login or logout."""

    app_url: str
    http: httpx.Client
    username: str
    name: str = ""
    email: str = ""
    sub: str = ""
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def total_ms(self) -> float:
        """Return the time of all steps together."""
        return sum(self.timings.values())

    def whoami(self) -> Mapping[str, str]:
        """Return what the app says of whoever asks; empty for nobody."""
        answer = self.http.get(f"{self.app_url}/whoami").raise_for_status().json()
        return answer if answer.pop("authenticated") else {}

    def close(self) -> None:
        """Forget cookies and connections."""
        self.http.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_session(
    app_url: str,
    username: str,
    *,
    ca_file: Path | None = None,
    timeout: float = 30.0,
    transport: httpx.BaseTransport | None = None,
) -> Session:
    """Return a new browser, without cookies. `timeout` in seconds for each request."""
    http = httpx.Client(
        cookies=_Jar(),
        follow_redirects=True,
        timeout=timeout,
        verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        trust_env=False,
        transport=transport,
    )
    return Session(app_url.rstrip("/"), http, username)


def login(
    app_url: str,
    username: str,
    password: str,
    *,
    ca_file: Path | None = None,
    timeout: float = 30.0,
    transport: httpx.BaseTransport | None = None,
) -> Session:
    """Log in with a new browser; the caller closes the session. Raises `LoginFailed`."""
    session = open_session(app_url, username, ca_file=ca_file, timeout=timeout, transport=transport)
    try:
        log_in_again(session, password)
    except BaseException:
        session.close()
        raise
    return session


def log_in_again(session: Session, password: str) -> None:
    """Log in with the same browser. Raises `LoginFailed` if no password is asked for."""
    session.timings = {}
    page = _ask(session, "form_ms")
    form = page.form_with("password")
    if form is None:
        raise LoginFailed("the identity server showed no password form")
    credentials = {**form.fields, "username": session.username, "password": password}
    answer = _timed(session, "password_ms", form.method, form.action, credentials)
    if Page(answer.text).form_with("password") is not None:
        raise LoginFailed(f"the identity server refused {session.username}'s password")
    if not str(answer.url).startswith(f"{session.app_url}/"):
        raise LoginFailed(f"the login stopped at {answer.url.copy_with(query=None)}")
    who = session.whoami()
    if not who:
        raise LoginFailed("the app does not accept the login; its own log says why")
    session.name, session.email, session.sub = who["name"], who["email"], who["sub"]


def logout(session: Session) -> None:
    """Log out through app and identity server, and see that both forgot. Raises `LoginFailed`.

    `session.timings` has `logout_ms` afterwards.
    """
    session.timings = {}
    page = Page(_timed(session, "home_ms", "get", f"{session.app_url}/").text)
    form = page.form("logout")
    if form is None:
        raise LoginFailed("the app shows no way to log out: nobody is logged in")
    answer = _timed(
        session, "logout_ms", form.method, f"{session.app_url}{form.action}", form.fields
    )
    if not str(answer.url).startswith(f"{session.app_url}/"):
        raise LoginFailed(f"the logout stopped at {answer.url.copy_with(query=None)}")
    if session.whoami():
        raise LoginFailed("the app still knows the person who logged out")
    if _ask(session, "form_ms").form_with("password") is None:
        raise LoginFailed("the identity server let the person in without a password")


def _ask(session: Session, step: str) -> Page:
    """Follow the app's login link to wherever it leads."""
    home = Page(_timed(session, "home_ms", "get", f"{session.app_url}/").text)
    if "login" not in home.links:
        raise LoginFailed("the app shows no login link: somebody is logged in")
    url = f"{session.app_url}{home.links['login']}"
    return Page(_timed(session, step, "get", url).text)


def _timed(
    session: Session, step: str, method: str, url: str, data: Mapping[str, str] | None = None
) -> httpx.Response:
    headers = {"Referer": f"{session.app_url}/"} if url.startswith(session.app_url) else {}
    began = time.perf_counter()
    answer = session.http.request(method.upper(), url, data=data, headers=headers)
    spent = (time.perf_counter() - began) * 1000
    session.timings[step] = session.timings.get(step, 0.0) + spent
    if answer.is_error:
        place = answer.url.copy_with(query=None)
        raise LoginFailed(f"{place} answered {answer.status_code} {answer.reason_phrase}")
    return answer


def main() -> int:
    """Log in, log out, print what was seen and how long it took."""
    if len(sys.argv) != 3 or "TESTBED_PASSWORD" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    app_url, username = sys.argv[1:]
    try:
        with login(app_url, username, os.environ["TESTBED_PASSWORD"]) as session:
            came_in = dict(session.timings)
            logout(session)
            print(
                json.dumps(
                    {
                        "username": username,
                        "name": session.name,
                        "email": session.email,
                        "login_ms": {step: round(ms, 1) for step, ms in came_in.items()},
                        "logout_ms": {s: round(ms, 1) for s, ms in session.timings.items()},
                    }
                )
            )
    except (LoginFailed, httpx.HTTPError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
