"""The least browser, against an app and an identity server made of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from testbed.browser import LoginFailed, Page, log_in_again, login, logout

APP, IDP = "http://127.0.0.1:8123", "http://127.0.0.1:8580"
FORM = (
    f'<form id="kc-form-login" action="{IDP}/auth?s=1&amp;t=2" method="post">'
    '<input name="username"><input type="password" name="password">'
    '<input type="checkbox" name="rememberMe"><input type="hidden" name="execution" value="e7">'
    "</form>"
)


class World(httpx.MockTransport):
    """An app and an identity server, each with a session cookie; faults can be planted."""

    def __init__(self, *, keeps_sso: bool = False, keeps_app: bool = False) -> None:
        super().__init__(self.answer)
        self.keeps_sso, self.keeps_app = keeps_sso, keeps_app
        self.codes = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        pages: dict[str, Callable[[httpx.Request], httpx.Response]] = {
            f"{APP}/": self.home,
            f"{APP}/whoami": self.whoami,
            f"{APP}/login": lambda _: self.redirect(f"{IDP}/auth?s=1"),
            f"{APP}/callback": lambda _: self.redirect(f"{APP}/", "app=alice; Path=/"),
            f"{APP}/logout": self.logout,
            f"{IDP}/auth": self.auth,
            f"{IDP}/logout": self.end_session,
        }
        return pages[str(request.url.copy_with(query=None))](request)

    def redirect(self, url: str, cookie: str = "") -> httpx.Response:
        headers = {"location": url, **({"set-cookie": cookie} if cookie else {})}
        return httpx.Response(302, headers=headers)

    def known(self, request: httpx.Request, name: str) -> bool:
        return f"{name}=alice" in request.headers.get("cookie", "")

    def home(self, request: httpx.Request) -> httpx.Response:
        if self.known(request, "app"):
            form = (
                '<form id="logout" method="post" action="/logout"><input name="csrf" value="c">'
                "</form>"
            )
            return httpx.Response(200, text=form)
        return httpx.Response(200, text='<a id="login" href="/login">Log in</a>')

    def whoami(self, request: httpx.Request) -> httpx.Response:
        if not self.known(request, "app"):
            return httpx.Response(200, json={"authenticated": False})
        person = {"name": "Alice", "email": "a@x.test", "sub": "1"}
        return httpx.Response(200, json={"authenticated": True, **person})

    def auth(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            if self.known(request, "sso"):
                return self.redirect(f"{APP}/callback?code=1")
            return httpx.Response(200, text=FORM)
        sent = parse_qs(request.content.decode())
        assert request.url.query == b"s=1&t=2"
        assert sent["execution"] == ["e7"]
        assert "rememberMe" not in sent
        if sent["password"] != ["right"]:
            return httpx.Response(200, text=FORM)
        return self.redirect(f"{APP}/callback?code=1", "sso=alice; Path=/; Secure; HttpOnly")

    def logout(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert parse_qs(request.content.decode()) == {"csrf": ["c"]}
        cookie = "" if self.keeps_app else "app=; Path=/; Max-Age=0"
        return self.redirect(f"{IDP}/logout?id_token_hint=t", cookie)

    def end_session(self, request: httpx.Request) -> httpx.Response:
        assert self.known(request, "sso")
        cookie = "" if self.keeps_sso else "sso=; Path=/; Max-Age=0"
        return self.redirect(f"{APP}/", cookie)


def test_a_person_logs_in_and_out_and_in_again() -> None:
    """The browser follows link, form and redirects, and says who the app took it for."""
    with login(APP, "alice", "right", transport=World()) as session:
        assert (session.name, session.email, session.sub) == ("Alice", "a@x.test", "1")
        assert set(session.timings) == {"home_ms", "form_ms", "password_ms"}
        logout(session)
        assert "logout_ms" in session.timings
        assert session.whoami() == {}
        log_in_again(session, "right")
        assert session.whoami()["name"] == "Alice"


def test_a_wrong_password_is_told_without_the_password() -> None:
    """A refused login names the person, not what was typed."""
    with pytest.raises(LoginFailed, match="refused alice's password") as caught:
        login(APP, "alice", "wrong-secret", transport=World())
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("world", "what"),
    [
        (World(keeps_sso=True), "without a password"),
        (World(keeps_app=True), "still knows"),
    ],
)
def test_a_logout_that_forgets_half_is_found_out(world: World, what: str) -> None:
    """Both the app's and the identity server's session must be gone."""
    with (
        login(APP, "alice", "right", transport=world) as session,
        pytest.raises(LoginFailed, match=what),
    ):
        logout(session)


def test_an_error_page_is_told_without_its_query() -> None:
    """A failed step names page and status; codes and tokens in the address are left out."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/":
            return httpx.Response(200, text='<a id="login" href="/login?state=token">x</a>')
        return httpx.Response(400)

    with pytest.raises(LoginFailed, match="/login answered 400") as caught:
        login(APP, "alice", "x", transport=httpx.MockTransport(answer))
    assert "token" not in str(caught.value)


def test_pages_are_read_by_their_forms_and_links() -> None:
    """Fields belong to their form; what is not ticked is not sent."""
    page = Page('<input name="stray">' + FORM + '<a href="/x">x</a><input name="stray">')
    form = page.form_with("password")
    assert form is page.form("kc-form-login")
    assert form is not None
    assert form.action == f"{IDP}/auth?s=1&t=2"
    assert form.fields == {"username": "", "password": "", "execution": "e7"}
    assert page.form_with("stray") is None
    assert page.links == {"/x": "/x"}
