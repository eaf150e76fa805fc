"""The stand-in app as a process, without an identity server: it starts, answers and stops."""

from __future__ import annotations

import socket

import httpx
import pytest

from testbed.browser import open_session
from testbed.relying_party import running
from warminfra.recipes import PRESETS, render_env
from warminfra.recipes.patterns import ENDPOINTS

REALM = "http://127.0.0.1:1/realms/x"
ENV = render_env(
    PRESETS["django-lasuite"],
    {
        "issuer": REALM,
        "endpoints": {name: f"{REALM}/{name}" for name in ENDPOINTS},
        "client": {"id": "docs", "secret": "s"},
    },
)


def test_the_app_answers_and_knows_nobody() -> None:
    """With a lease's environment it serves at once, and sends who logs in to the right place."""
    with running(ENV) as app, open_session(app.url, "alice") as session:
        assert session.whoami() == {}
        assert session.http.get(f"{app.url}/__lbheartbeat__").text == "ok"
        answer = session.http.get(f"{app.url}/oidc/authenticate/", follow_redirects=False)
        place = httpx.URL(answer.headers["location"])
        assert str(place.copy_with(query=None)) == f"{REALM}/authorization"
        assert place.params["client_id"] == "docs"
        assert place.params["redirect_uri"] == f"{app.url}/oidc/callback/"
    with pytest.raises(httpx.ConnectError):
        httpx.get(app.url)


def test_the_app_names_what_its_environment_lacks() -> None:
    """Without a lease it does not start, and says which names are missing."""
    lacking = {name: value for name, value in ENV.items() if name != "OIDC_RP_CLIENT_SECRET"}
    with pytest.raises(RuntimeError, match="not set: OIDC_RP_CLIENT_SECRET"), running(lacking):
        pass


def test_the_app_says_that_its_port_is_taken() -> None:
    """A taken port is one line with the port, no traceback."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):  # noqa: SIM117
            with running(ENV, port=port):
                pass
