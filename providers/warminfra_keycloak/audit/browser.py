"""One browser profile: a cookie jar that keeps to RFC 6265, over whatever leases come.

Python's own jar, so that domain and path decide what goes where. One thing is relaxed: cookies that
are `Secure` go over plain HTTP too, as browsers have it on loopback.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from warminfra.core.errors import Unreachable
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.holder import asks, code_in, form_of, hidden_of, tokens

_HOPS = 5


class Profile:
    """Signs in, comes back, signs out; keeps all cookies that it is given."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._cookies = httpx.Cookies(self._jar)

    def sign_in(self, lease: JsonObject) -> dict[str, str]:
        """Sign the first user in by the form; return `iss`, `sub`, `sid` of its ID token."""
        page = self._get(lease["endpoints"]["authorization"], asks(lease))
        action = form_of(page)
        if action is None:
            raise Unreachable(f"no login form at {lease['tenant']}: {page.status_code}")
        user = lease["users"][0]
        entered = {"username": user["username"], "password": user["password"]}
        return self._claims(lease, self._post(action, entered))

    def comes_back(self, lease: JsonObject) -> dict[str, str]:
        """Return whom the tenant takes the profile for without asking it; {} if it would ask."""
        answer = self._get(lease["endpoints"]["authorization"], asks(lease, prompt="none"))
        return self._claims(lease, answer) if code_in(answer) else {}

    def sign_out(self, lease: JsonObject) -> None:
        """Sign out of the lease's app, and confirm it where that is asked."""
        client = {"client_id": lease["client"]["id"]}
        answer = self._get(lease["endpoints"]["end_session"], client)
        for _ in range(_HOPS):
            if "location" not in answer.headers:
                break
            answer = self._get(str(answer.url.join(answer.headers["location"])), {})
        action = form_of(answer)
        if action is not None:
            self._post(action, {**hidden_of(answer), "confirmLogout": "Logout"})

    def cookies(self) -> list[tuple[str, str]]:
        """Return name and path of every cookie that the profile holds."""
        return sorted((cookie.name, cookie.path) for cookie in self._jar)

    def _get(self, url: str, params: dict[str, str]) -> httpx.Response:
        return self._sent(self._http.build_request("GET", url, params=params or None))

    def _post(self, url: str, data: dict[str, str]) -> httpx.Response:
        return self._sent(self._http.build_request("POST", url, data=data))

    def _sent(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop("Cookie", None)
        self._cookies.set_cookie_header(request)
        answer = self._http.send(request)
        self._cookies.extract_cookies(answer)
        return answer

    def _claims(self, lease: JsonObject, answer: httpx.Response) -> dict[str, str]:
        code = code_in(answer)
        if not code:
            raise Unreachable(f"no code from the login at {lease['tenant']}: {answer.status_code}")
        found = jose.claims_of(tokens(self._http, lease, code)["id_token"])
        return {name: str(found.get(name, "")) for name in ("iss", "sub", "sid")}
