"""A lease document in the forms that people, programs, shells and GitHub read."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from warminfra.cli.masking import masked, secrets_of
from warminfra.cli.output import Form, as_env, as_json, emit, write_private
from warminfra.core.errors import StorageFull, Usage

if TYPE_CHECKING:
    from warminfra.core.models import JsonObject

ID_VARIABLE = "WARMINFRA_LEASE_ID"
HANDLE_VARIABLE = "WARMINFRA_LEASE_HANDLE"
HOSTS_VARIABLE = "WARMINFRA_LEASE_HOSTS"
FILE_VARIABLE = "WARMINFRA_LEASE_FILE"
LEASE_PREFIX = "WARMINFRA_LEASE_"


def lease_environment(document: JsonObject) -> dict[str, str]:
    """Return the app's environment, and what renews and releases the lease.

    `WARMINFRA_LEASE_HOSTS` has the host entries that containers need, `name:address` each.
    """
    hosts = " ".join(f"{name}:{address}" for name, address in document.get("hosts", {}).items())
    return {
        **{str(name): str(value) for name, value in document["env"].items()},
        ID_VARIABLE: str(document["id"]),
        HANDLE_VARIABLE: str(document["handle"]),
        **({HOSTS_VARIABLE: hosts} if hosts else {}),
    }


def form_or_default(form: Form | None, to: Path | None) -> Form:
    """Return the form asked for, or the one that fits where it goes."""
    if form is not None:
        return form
    return Form.HUMAN if to is None and sys.stdout.isatty() else Form.JSON


def check_github(form: Form, to: Path | None) -> None:
    """Refuse `-o github` where GitHub's file is not there, before anything is leased."""
    if form is Form.GITHUB and to is None and not os.environ.get("GITHUB_ENV"):
        raise Usage(
            "-o github: GITHUB_ENV is not set, so this is no step of a GitHub workflow",
            hint="use -o env --to FILE",
        )


def write_lease(document: JsonObject, form: Form, to: Path | None, *, reveal: bool) -> None:
    """Print a lease document, or write it to `to`; masked unless `reveal`."""
    shown = document if reveal else masked(document)
    if form is Form.JSON:
        emit(as_json(shown), to)
    elif form is Form.ENV:
        emit(as_env(lease_environment(shown)), to)
    elif form is Form.HUMAN:
        emit(human(shown), to)
    else:
        _github(document, to)


def mask_before(document: JsonObject, form: Form) -> None:
    """Before secrets are printed in a GitHub job: have its log hide them.

    On stderr, which the runner reads as well as stdout (actions/runner, `ScriptHandler`), so that
    what is printed stays data alone. Other CIs know no such line, and would show it.
    """
    if form is not Form.GITHUB and os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stderr.write(_masks(document))
        sys.stderr.flush()


def human(document: JsonObject) -> str:
    """Return the lease as a short block."""
    rows = [
        ("lease", document["id"]),
        ("recipe", document["recipe"]),
        ("holder", " ".join(filter(None, (document.get("run"), document.get("slot"))))),
        ("mode", f"{document['mode']}: {document['mode_reason']}"),
        ("expires", document["expires_at"]),
        ("domain", document.get("domain") or ""),
        ("issuer", document["issuer"]),
        ("client", f"{document['client']['id']}  {document['client']['secret']}"),
    ]
    for user in document["users"]:
        roles = f"  ({', '.join(user['roles'])})" if user.get("roles") else ""
        rows.append(("user", f"{user['username']}  {user['password']}{roles}"))
    if admin := document.get("admin"):
        rows.append(("admin", f"{admin['client_id']}  {admin['client_secret']}  {admin['url']}"))
    rows.append(("handle", document["handle"]))
    return "".join(f"{name:<8} {value}\n" for name, value in rows if value)


def _github(document: JsonObject, to: Path | None) -> None:
    """Mask every secret in the job's log, then hand the environment to the steps that follow."""
    sys.stdout.write(_masks(document))
    sys.stdout.flush()
    block = _heredocs(lease_environment(document))
    if to is not None:
        write_private(to, block)
        return
    _append(Path(os.environ["GITHUB_ENV"]), block)
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        named = {"lease-id": document["id"], "issuer": document["issuer"]}
        _append(Path(outputs), _heredocs(named))


def _masks(document: JsonObject) -> str:
    return "".join(f"::add-mask::{_escaped(secret)}\n" for secret in secrets_of(document))


def _heredocs(values: Mapping[str, str]) -> str:
    end = f"end-{secrets.token_hex(8)}"
    return "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in values.items())


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a") as out:
            out.write(text)
    except OSError as error:
        raise StorageFull(f"cannot write {path}: {error.strerror}", hint="free space") from None


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
