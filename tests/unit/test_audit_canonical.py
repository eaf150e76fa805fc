"""The canonical form hides ids and times, and nothing that an attacker could learn from."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from warminfra.core.audit import Reply
from warminfra_keycloak.audit.canonical import canonical
from warminfra_keycloak.audit.contents import alike, settled

REQUEST = httpx.Request("GET", "http://127.0.0.1/")
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
OTHER_JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIyIn0.b3RoZXI"
ONE, TWO = "wi-abcdefgh-abcdefghijkmnpqrstuvwxyz23", "wi-abcdefgh-zyxwvutsrqpnmkjihgfedcba99"


def of(status: int = 200, body: Any = None, text: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        return canonical(httpx.Response(status, json=body, headers=named, request=REQUEST))
    return canonical(httpx.Response(status, text=text, headers=named, request=REQUEST))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of(body={"access_token": JWT}), of(body={"access_token": OTHER_JWT})),
        (of(body={"exp": 1, "iat": 2}), of(body={"exp": 3, "iat": 4})),
        (
            of(body=[{"started": 1795814294, "createdTimestamp": 1795814294123}]),
            of(body=[{"started": 1795814295, "createdTimestamp": 1795814295001}]),
        ),
        (
            of(body={"sid": "-bNCJ5fLxkjXU1jDAZt1-"}),
            of(body={"sid": "cGwXbNCJfLxkjXUjDAZt"}),
        ),
        (of(text="at -bNCJ5fLxkjXU1jDAZt1iw9- now"), of(text="at cGw5bNCJ5fLxkjXU1jDAZt1i now")),
        (of(body={"scope": "email profile"}), of(body={"scope": "profile email"})),
        (
            of(302, location=f"http://h/realms/{ONE}/cb?code=0f1e2d3c-aaaa&state=s"),
            of(302, location=f"http://h/realms/{TWO}/cb?code=aaaa0f1e-2d3c&state=t"),
        ),
        (
            of(401, text="", www_authenticate=f'Bearer realm="{ONE}", error="invalid_token"'),
            of(401, text="", www_authenticate=f'Bearer realm="{TWO}", error="invalid_token"'),
        ),
        (
            of(text=f"<p>Sign in to  {ONE}</p>", content_type="text/html"),
            of(text=f"<p>Sign in\n to {TWO}</p>", content_type="text/html"),
        ),
        (
            of(text="<script>let a = 1</script>Hello", content_type="text/html"),
            of(text="<!-- 2 -->Hello", content_type="text/html"),
        ),
    ],
    ids=[
        "tokens",
        "times",
        "moments under any name",
        "sessions",
        "what is opaque",
        "order of scopes",
        "redirects",
        "challenges",
        "pages",
        "scripts",
    ],
)
def test_what_differs_from_call_to_call_is_hidden(one: Reply, other: Reply) -> None:
    """Tokens, ids, times and names of tenants make no difference."""
    assert (one.status, one.text) == (other.status, other.text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of(200, body={"active": True}), of(200, body={"active": False})),
        (of(200, body={}), of(201, body={})),
        (of(200, body={"count": 1}), of(200, body={"count": 2})),
        (of(200, body={"lifespan": 36000}), of(200, body={"lifespan": 43200})),
        (of(200, body={"session_state": ""}), of(200, body={"session_state": "a"})),
        (of(200, body={"scope": "email"}), of(200, body={"scope": "email profile"})),
        (of(400, body={"error": "invalid_grant"}), of(400, body={"error": "invalid_client"})),
        (of(200, body={"email": "alice@a.test"}), of(200, body={"email": "bob@a.test"})),
        (of(200, body={"sub": "x"}), of(200, body={"sub": "x", "email": "y"})),
        (of(200, body=[]), of(200, body=[{"id": "1"}])),
        (of(302, location="/cb?code=1"), of(302, location="/cb?error=login_required")),
        (of(302, location="/cb?error=a"), of(302, location="/cb?error=b")),
        (
            of(text="<title>Sign in</title>", content_type="text/html"),
            of(text="<title>Error</title>", content_type="text/html"),
        ),
        (
            of(text='<span id="input-error">No</span>', content_type="text/html"),
            of(text='<span id="input-error">Yes</span>', content_type="text/html"),
        ),
        (of(200, body={}, set_cookie="KEYCLOAK_IDENTITY=abc"), of(200, body={})),
        (
            of(text="<body><p>You are <b>alice</b></p></body>", content_type="text/html"),
            of(text="<body><p>You are <b>bob</b></p></body>", content_type="text/html"),
        ),
        (
            of(text='<form id="a"></form>', content_type="text/html"),
            of(text='<form id="b"></form>', content_type="text/html"),
        ),
        (of(text="it is 1", content_type="text/plain"), of(text="it is 2")),
        (
            of(401, www_authenticate='Bearer error="a"'),
            of(401, www_authenticate='Bearer error="b"'),
        ),
        (of(302, location="/a?code=1"), of(302, location="/b?code=1")),
        (of(302, location="/a?code=1"), of(302, location="/a?code=1&state=2")),
        (of(body={"name": "short-1"}), of(body={"name": "short-2"})),
        (of(body=["a", "b"]), of(body=["b", "a"])),
    ],
)
def test_what_an_attacker_could_learn_from_is_kept(one: Reply, other: Reply) -> None:
    """Status, fields, values, errors, pages and cookies tell two answers apart."""
    assert (one.status, one.text) != (other.status, other.text)


def test_names_of_tenants_are_counted_before_they_are_hidden() -> None:
    """An answer that names another tenant is known as such, though its text is scrubbed."""
    listed = of(200, body=[{"realm": ONE}, {"realm": TWO}])
    assert listed.mentions == {ONE, TWO}
    assert ONE not in listed.text


def test_what_each_tenant_has_of_its_own_is_taken_out_of_its_shape_and_nothing_else() -> None:
    """Names, ids and times become what they are; a thing less is told, in the part it is in."""

    def shape(day: str, *scopes: str) -> dict[str, str]:
        app = f"app-{day}"
        made = {"name": app, "createdTimestamp": day, "at": f"{day}T10:00:00Z"}
        found = {"clients": [made], "scopes": list(scopes), "of": {app: "mapping"}}
        return alike(found, {app: "CLIENT"})

    first = shape("2026-01-01", "email", "phone")
    assert first == shape("2026-02-02", "phone", "email")
    assert "mapping" in first["of"]
    lacking = shape("2026-02-02", "email")
    assert {part for part in first if lacking[part] != first[part]} == {"scopes"}


def test_two_keys_that_are_told_alike_still_are_two() -> None:
    """What hangs on one of two internal ids is missed, though ids are hidden."""
    ids = ("0b5a8a5e-9a0e-4c0a-9d1c-0c1f3f1c2a01", "7c0d3b62-41f5-4b8f-8a55-5b9de0a7c402")
    both = {"of": dict.fromkeys(ids, "a thing")}
    one = {"of": {ids[0]: "a thing"}}
    assert alike(both, {}) != alike(one, {})
    assert alike(one, {}) == alike({"of": {ids[1]: "a thing"}}, {})


def test_the_order_of_a_list_is_no_change_and_its_content_is() -> None:
    """Keycloak lists sets, nested ones too, in whatever order its cache has them."""
    one = {"clients": [{"mappers": [{"name": "a"}, {"name": "b"}]}, {"mappers": []}]}
    other = {"clients": [{"mappers": []}, {"mappers": [{"name": "b"}, {"name": "a"}]}]}
    texts = ({"config": {"roles": text}} for text in ('["a", "b"]', '["b", "a"]'))
    assert settled(next(texts)) == settled(next(texts))
    less = {"clients": [{"mappers": []}, {"mappers": [{"name": "b"}]}]}
    assert settled(one) == settled(other) != settled(less)
