"""The app's env file after a lease was handed to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from warminfra.cli.handing import Handing, merged
from warminfra.core.errors import Usage

BEFORE = """\
# The shop
DOMAIN=shop.example
export OIDC_ISSUER=old
OIDC_CLIENT="a b"   # quoted
OIDC_ISSUER=twice
SECRET_OIDC_RPCS_VERSION=v2 # length=32
SECRET_DB_PASSWORD_VERSION="v1"
SECRET_PLAIN=v7
"""


def test_names_of_the_lease_are_set_in_place_and_others_stay() -> None:
    """Comments, order and foreign lines stay; a name is there once; new ones come last."""
    text = merged(BEFORE, {"OIDC_ISSUER": "http://x/realms/a", "OIDC_NEW": "n"})
    assert text.splitlines() == [
        "# The shop",
        "DOMAIN=shop.example",
        "OIDC_ISSUER=http://x/realms/a",
        'OIDC_CLIENT="a b"   # quoted',
        "SECRET_OIDC_RPCS_VERSION=v2 # length=32",
        'SECRET_DB_PASSWORD_VERSION="v1"',
        "SECRET_PLAIN=v7",
        "OIDC_NEW=n",
    ]
    assert merged(text, {"OIDC_ISSUER": "http://x/realms/a", "OIDC_NEW": "n"}) == text


@pytest.mark.parametrize("value", ["plain", "a b", "it's", 'say "hi" $HOME `id` \\ it\'s', "#no"])
def test_a_shell_reads_every_value_back(value: str) -> None:
    """Whatever a secret holds, it is one word of the file and runs nothing."""
    text = merged("", {"NAME": value})
    told = subprocess.run(
        ["sh", "-c", f'{text}printf %s "$NAME"'], capture_output=True, text=True, check=True
    )
    assert told.stdout == value


def test_versions_of_secrets_are_read_from_the_file(tmp_path: Path) -> None:
    """`SECRET_<NAME>_VERSION`, with or without the last word, comments and quotes aside."""
    file = tmp_path / "app.env"
    file.write_text(BEFORE)
    assert Handing("shop", file).secret_versions == {
        "oidc_rpcs": "v2",
        "db_password": "v1",
        "plain": "v7",
    }


def test_the_file_is_for_its_owner_afterwards(tmp_path: Path) -> None:
    """It holds secrets now; one that was not there is made."""
    file = tmp_path / "app.env"
    Handing("", file).write({"env": {"A": "1"}})
    assert file.read_text() == "A=1\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_is_told_before_a_lease_is_taken(tmp_path: Path) -> None:
    """A folder, or a name that no stack can have."""
    with pytest.raises(Usage, match="app-env"):
        Handing("", tmp_path)
    with pytest.raises(Usage, match="stack"):
        Handing("-x", None)
