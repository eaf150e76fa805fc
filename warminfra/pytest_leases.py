"""The leases of one pytest session: taken when the first test asks, renewed, released at its end.

Each is bound to the session's process, so that it ends with a session that is killed as well. Below
`warminfra exec` its lease is used, and left to it. Secrets are in no representation: a failed
assertion shows those.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from warminfra.client import Client
from warminfra.client.heartbeat import Heartbeat
from warminfra.config import load, parse_duration
from warminfra.core.clock import SystemClock
from warminfra.core.errors import WarminfraError
from warminfra.core.secret import Secret

if TYPE_CHECKING:
    from warminfra.core.models import JsonObject

TTL = 60.0
"""Seconds that a lease lives without a sign of the session's."""

TIMEOUT = 5.0
"""Seconds for a renewal or a release. A bound lease ends without us."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the tenant."""

    username: str
    password: str = field(repr=False)
    email: str
    first_name: str
    last_name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease, as its document tells it."""

    id: str
    recipe: str
    domain: str
    issuer: str
    endpoints: Mapping[str, str]
    client: Mapping[str, str] = field(repr=False)
    """`id` and `secret`."""
    users: Sequence[User]
    env: Mapping[str, str] = field(repr=False)
    """The app's environment."""
    document: Mapping[str, object] = field(repr=False)

    @classmethod
    def of(cls, document: JsonObject) -> Lease:
        users = [
            User(
                username=user["username"],
                password=user["password"],
                email=user.get("email", ""),
                first_name=user.get("first_name", ""),
                last_name=user.get("last_name", ""),
                roles=tuple(user.get("roles", ())),
            )
            for user in document["users"]
        ]
        return cls(
            id=document["id"],
            recipe=document["recipe"],
            domain=document["domain"],
            issuer=document["issuer"],
            endpoints=document["endpoints"],
            client=document["client"],
            users=users,
            env=document["env"],
            document=document,
        )


@dataclass(slots=True)
class _Kept:
    """A lease of ours and the thread that renews it."""

    lease: Lease
    heartbeat: Heartbeat
    lost: str = ""


@dataclass(slots=True)
class Leases:
    """The session's leases, by recipe and domain."""

    run: str
    slot: str
    recipe: str
    domain: str
    wait: float
    worker: bool
    """Whether it is one of several sessions of one run, which share nothing."""
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    @classmethod
    def of_session(cls, config: pytest.Config) -> Leases:
        """Return those of a session, none taken yet. The slot of an xdist worker is its id."""
        worker: Mapping[str, str] = getattr(config, "workerinput", {})
        given = os.environ.get("WARMINFRA_SLOT", "")
        try:
            wait = parse_duration(config.getini("warminfra_wait")).total_seconds()
        except ValueError:
            wrong = config.getini("warminfra_wait")
            raise pytest.UsageError(
                f"warminfra_wait = {wrong!r} is no duration (write 90s or 2m)"
            ) from None
        return cls(
            run=os.environ.get("WARMINFRA_RUN")
            or worker.get("testrunuid")
            or f"pytest-{os.getpid()}",
            slot="-".join(filter(None, (given, worker.get("workerid", "")))),
            recipe=config.getini("warminfra_recipe") or os.environ.get("WARMINFRA_RECIPE", ""),
            domain=config.getini("warminfra_domain") or os.environ.get("WARMINFRA_DOMAIN", ""),
            wait=wait,
            worker=bool(worker),
        )

    def get(self, recipe: str = "", domain: str = "") -> Lease:
        """Return the session's lease of `recipe`; what is not given is as configured.

        A lease that cannot be had, or is lost, fails the test that asks, in one line.
        """
        recipe, domain = recipe or self.recipe, domain or self.domain
        around = _around()
        if around is not None and not self.worker and _fits(around, recipe, domain):
            return around
        if not recipe:
            pytest.fail(
                "no warminfra recipe: mark the test with @pytest.mark.warminfra_recipe(NAME), or "
                "set warminfra_recipe in pytest's configuration",
                pytrace=False,
            )
        kept = self._kept.get((recipe, domain))
        if kept is None:
            try:
                kept = self._kept[recipe, domain] = self._take(recipe, domain)
            except WarminfraError as error:
                pytest.fail(f"no lease of {recipe!r}: {error}", pytrace=False)
        if kept.lost:
            pytest.fail(f"lease {kept.lease.id} is lost: {kept.lost}", pytrace=False)
        return kept.lease

    def release(self) -> None:
        """Give back all that was taken, whatever became of it."""
        for kept in self._kept.values():
            kept.heartbeat.stop()
        for kept in self._kept.values():
            if not kept.lost:
                self._give_back(kept.lease)

    def _take(self, recipe: str, domain: str) -> _Kept:
        settings = load().settings
        runtime_dir = settings.service.runtime_dir
        key = os.environ.get("WARMINFRA_KEY")
        with Client(runtime_dir) as client:
            document = client.acquire(
                recipe,
                run=self.run,
                slot=self.slot,
                run_key=Secret(key) if key else None,
                domain=domain,
                ttl=TTL,
                bind=True,
                wait=self.wait,
            )

        def lose(why: str) -> None:
            kept.lost = why

        heartbeat = Heartbeat(
            Client(runtime_dir, timeout=TIMEOUT),
            document["id"],
            Secret(document["handle"]),
            ttl=float(document["ttl_s"]),
            grace=settings.leases.grace.total_seconds(),
            clock=SystemClock(),
            lost=lose,
            say=lambda _: None,
        )
        kept = _Kept(Lease.of(document), heartbeat)
        heartbeat.start()
        return kept

    def _give_back(self, lease: Lease) -> None:
        handle = Secret(str(lease.document["handle"]))
        try:
            with Client(load().settings.service.runtime_dir, timeout=TIMEOUT) as client:
                client.release(lease.id, handle, unless_held=True)
        except WarminfraError as error:
            print(f"warminfra: lease {lease.id} ends with this process: {error.message}")


def _around() -> Lease | None:
    """Return the lease of the `warminfra exec` that runs us, if one does."""
    file = os.environ.get("WARMINFRA_LEASE_FILE")
    if not file:
        return None
    try:
        return Lease.of(json.loads(Path(file).read_text()))
    except (OSError, ValueError, KeyError):
        return None  # somebody else's variable, or of an `exec` that is over


def _fits(lease: Lease, recipe: str, domain: str) -> bool:
    return recipe in ("", lease.recipe) and domain in ("", lease.domain)
