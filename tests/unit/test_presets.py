"""Presets and rendering: what an app finds in its environment."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warminfra.core.errors import Internal
from warminfra.recipes import PRESETS, render_env
from warminfra.recipes.patterns import ENDPOINTS, fields_of, lease_fields

REALM = "http://127.0.0.1:1/realms/wi-x"


def document(**more: Any) -> dict[str, Any]:
    """Return a lease document as the service makes it."""
    return {
        "id": "x",
        "issuer": REALM,
        "endpoints": {name: f"{REALM}/{name}" for name in ENDPOINTS},
        "client": {"id": "docs-x", "secret": "s3cret"},
        "users": [{"username": "alice", "password": "pw"}],
        "domain": "127.0.0.1:8123",
        **more,
    }


def test_lasuite_apps_find_every_name_they_ask_for() -> None:
    """The preset has the whole set of django-lasuite's names, filled from the lease."""
    env = render_env(PRESETS["django-lasuite"], document())
    assert env == {
        "OIDC_OP_URL": REALM,
        "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{REALM}/authorization",
        "OIDC_OP_TOKEN_ENDPOINT": f"{REALM}/token",
        "OIDC_OP_USER_ENDPOINT": f"{REALM}/userinfo",
        "OIDC_OP_JWKS_ENDPOINT": f"{REALM}/jwks",
        "OIDC_OP_LOGOUT_ENDPOINT": f"{REALM}/end_session",
        "OIDC_OP_INTROSPECTION_ENDPOINT": f"{REALM}/introspection",
        "OIDC_RP_CLIENT_ID": "docs-x",
        "OIDC_RP_CLIENT_SECRET": "s3cret",
        "OIDC_RP_SIGN_ALGO": "RS256",
        "OIDC_RP_SCOPES": "openid email profile",
        "OIDC_USERINFO_FULLNAME_FIELDS": "given_name,family_name",
        "OIDC_REDIRECT_ALLOWED_HOSTS": "127.0.0.1:8123",
        "LOGIN_REDIRECT_URL": "/",
        "LOGOUT_REDIRECT_URL": "/",
    }


def test_generic_apps_find_issuer_client_and_endpoints() -> None:
    """The generic preset has one name for each endpoint of the discovery document."""
    env = render_env(PRESETS["generic"], document())
    assert env["OIDC_ISSUER"] == REALM
    assert (env["OIDC_CLIENT_ID"], env["OIDC_CLIENT_SECRET"]) == ("docs-x", "s3cret")
    assert {f"{REALM}/{name}" for name in ENDPOINTS} <= set(env.values())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_use_fields_that_every_lease_knows(preset: str) -> None:
    """No preset asks for a user or an admin, which a recipe need not have."""
    known = lease_fields(0, admin=False)
    for pattern in PRESETS[preset].values():
        assert set(fields_of(pattern)) <= known


def test_a_variable_of_a_lacking_field_is_left_out() -> None:
    """Without a domain or a CA there is no half-filled name; with one there is."""
    patterns = {"HOSTS": "a,{domain}", "CA": "{tls.ca_file}", "ID": "{client.id}"}
    assert render_env(patterns, document(domain="")) == {"ID": "docs-x"}
    full = render_env(patterns, document(tls={"ca_file": "/ca.pem"}))
    assert full == {"HOSTS": "a,127.0.0.1:8123", "CA": "/ca.pem", "ID": "docs-x"}


def test_a_document_without_what_every_lease_has_is_a_bug() -> None:
    """An endpoint that is missing is told, not left out."""
    with pytest.raises(Internal, match=re.escape("endpoints.token")):
        render_env({"X": "{endpoints.token}"}, document(endpoints={}))


def test_users_are_named_by_number_and_braces_are_doubled() -> None:
    """`{users.0.password}` is a field, `{{` and `}}` are braces."""
    patterns = {"P": '{{"{users.0.username}": "{users.0.password}"}}'}
    assert render_env(patterns, document()) == {"P": '{"alice": "pw"}'}


@given(secret=st.text(min_size=1))
def test_a_value_is_never_read_as_a_pattern(secret: str) -> None:
    """Whatever stands in a secret, braces included, arrives unchanged."""
    client = {"id": "{client.secret}", "secret": secret}
    rendered = render_env({"A": "{client.secret}|{client.id}"}, document(client=client))
    assert rendered == {"A": secret + "|{client.secret}"}
