"""Masking: no secret of a document is left in it, wherever it stands."""

from __future__ import annotations

import json

from tests.fake_service import CLIENT_SECRET, HANDLE, PASSWORD, document
from warminfra.cli.masking import masked, secrets_of


def test_every_secret_is_masked_in_every_place() -> None:
    """Handle, client secret, passwords and the admin's secret go, inside other texts as well."""
    full = document(
        admin={"client_id": "a", "client_secret": "admin-secret", "url": "http://x"},
        env={"URL": f"http://docs-x:{CLIENT_SECRET}@host", "PLAIN": "docs-x"},
    )
    text = json.dumps(masked(full))
    for secret in (HANDLE, CLIENT_SECRET, PASSWORD, "admin-secret"):
        assert secret in secrets_of(full)
        assert secret not in text
    assert '"PLAIN": "docs-x"' in text


def test_a_secret_within_a_longer_one_leaves_nothing_of_it() -> None:
    """The longest is masked first, so that no rest of it stays."""
    full = document(
        client={"id": "x", "secret": "abcdef"}, users=[{"username": "u", "password": "abc"}], env={}
    )
    assert "def" not in json.dumps(masked(full)["client"]["secret"])
