"""The service's HTTP API as methods.

Answers are the API's documents as they are; errors are those of `core.errors`, rebuilt from the
stable code of problem+json. Waiting for a lease happens here: the same random key is sent again
until the lease is there or the time is up, so a lost reply never costs a tenant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from warminfra.client.connection import Answer, Connection
from warminfra.core.entropy import SECRET_LENGTH, SystemEntropy
from warminfra.core.errors import (
    Internal,
    NoCapacity,
    OutcomeUnknown,
    Unreachable,
    WrongHandle,
    from_code,
)
from warminfra.core.secret import Secret

if TYPE_CHECKING:
    from warminfra.core.models import JsonObject

RUN_SOCKET = "run.sock"
ADMIN_SOCKET = "admin.sock"

SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.5
PAUSE_SHARE = 0.1
"""Seconds between two questions for a lease, and their share of the time waited so far, where the
service does not say itself when to ask again."""

COMES_BACK = 3.0
"""Seconds in which a socket that nobody serves may be served again (a service being restarted)."""

WITHDRAW_TIMEOUT = 1.0
"""Seconds that a client that gives up waits until the service has heard of it."""

PURGE_TIMEOUT = 1800.0

OnWait = Callable[[str], None]
"""Is told, at every question, why there is no lease yet."""


class Client:
    """Talks to the service over the run socket, or with `admin` over the admin socket.

    Not to be shared between threads. `timeout` is in seconds.
    """

    def __init__(self, runtime_dir: Path, *, admin: bool = False, timeout: float = 30.0) -> None:
        self._connection = Connection(runtime_dir / (ADMIN_SOCKET if admin else RUN_SOCKET))
        self._timeout = timeout

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # ------------------------------------------------------------ leases

    def acquire(
        self,
        recipe: str,
        *,
        key: Secret | None = None,
        run: str = "",
        slot: str = "",
        ttl: float = 0.0,
        domain: str = "",
        bind: bool = False,
        bind_pid: int = 0,
        run_key: Secret | None = None,
        stack: str = "",
        secret_versions: Mapping[str, str] | None = None,
        wait: float = 0.0,
        on_wait: OnWait | None = None,
    ) -> JsonObject:
        """Return a lease document; `ttl` and `wait` are seconds, ttl 0 takes the default.

        Without `key` a random one is drawn for this request; `run_key` is the key by which the
        whole run is released, if it is another. With `bind` the lease ends as soon as this process
        dies, with `bind_pid` that one; with `stack` it owns the Swarm stack of that name. Raises
        `NoCapacity` with the last reason when `wait` is over, and `Unreachable` if the service
        never answered. A request without a key that ends without a lease, by an interrupt too, is
        withdrawn; one with a key keeps its place for a while, for whoever asks again.
        """
        wish: JsonObject = {
            "recipe": recipe,
            "key": key.reveal() if key else SystemEntropy().token(SECRET_LENGTH),
            "run": run,
            "slot": slot,
            "ttl_s": ttl,
            "domain": domain,
            "bind": bind,
        }
        if bind_pid:
            wish["bind_pid"] = bind_pid
        if run_key:
            wish["run_key"] = run_key.reveal()
        if stack:
            wish |= {"stack": stack, "secret_versions": dict(secret_versions or {})}
        try:
            return self._ask(wish, wait, on_wait)
        except BaseException:
            if key is None:
                self._withdraw(wish)
            raise

    def _ask(self, wish: JsonObject, wait: float, on_wait: OnWait | None) -> JsonObject:
        """Ask until there is a lease, or `wait` seconds are over."""
        started = time.monotonic()
        heard = False
        while True:
            advised = None
            left = started + wait - time.monotonic()
            prefer = {"Prefer": f"wait={int(left)}"} if left >= 1 else {}
            try:
                answer = self._connection.request(
                    "POST", "/v1/leases", wish, headers=prefer, timeout=max(self._timeout, 1.0)
                )
                if answer.status == 201:
                    return answer.body
                if answer.status not in (202, 503):
                    raise _problem(answer)
                heard = True
                advised = answer.body.get("retry_after_s")
                reason = _why(answer.body)
            except OutcomeUnknown as error:
                heard = True
                reason = error.message
            except Unreachable as error:
                patience = wait if heard else min(wait, COMES_BACK)
                if not self._connection.path.exists() and not heard:
                    raise
                if time.monotonic() - started >= patience:
                    raise
                reason = error.message
            left = started + wait - time.monotonic()
            if left <= 0:
                raise NoCapacity(
                    f"no lease of {wish['recipe']!r} within {wait:g} s: {reason}",
                    hint="wait longer with --wait, or see `warminfra status`",
                )
            if on_wait is not None:
                on_wait(reason)
            pause = advised or max((time.monotonic() - started) * PAUSE_SHARE, SHORTEST_PAUSE)
            time.sleep(min(pause, LONGEST_PAUSE, left))

    def _withdraw(self, wish: JsonObject) -> None:
        """Leave the queue, and give back what came too late; a service that is gone is let be."""
        self.close()  # A question that was interrupted may be open in it.
        body = {name: wish[name] for name in ("key", "run", "slot")}
        with suppress(Unreachable, OutcomeUnknown):
            self._connection.request("POST", "/v1/leases/withdraw", body, timeout=WITHDRAW_TIMEOUT)

    def show(self, lease: str, handle: Secret) -> JsonObject:
        """Return the document of an active lease, secrets included."""
        return self._call("GET", _lease(lease), handle=handle)

    def state(self, lease: str, handle: Secret) -> JsonObject:
        """Return how far a lease and the teardown of its tenant are, after its end too."""
        return self._call("GET", _lease(lease, "state"), handle=handle)

    def renew(self, lease: str, handle: Secret, ttl: float = 0.0) -> JsonObject:
        """Move the deadline to `ttl` seconds from now. Raises `LeaseLost`."""
        return self._call("POST", _lease(lease, "renew"), {"ttl_s": ttl}, handle=handle)

    def release(self, lease: str, handle: Secret, *, unless_held: bool = False) -> JsonObject:
        """End a lease, `unless_held` one that is not held; twice is fine. Returns at once, with its
        state."""
        query = "?unless_held=true" if unless_held else ""
        return self._call("DELETE", _lease(lease) + query, handle=handle)

    def release_run(self, run: str, key: Secret, *, held: bool = False) -> list[JsonObject]:
        """End all leases of a run that were taken with its key, with `held` those held too; return
        their states. Twice is fine."""
        body = {"run": run, "key": key.reveal(), "held": held}
        return list(self._call("POST", "/v1/runs/release", body)["leases"])

    def hold(self, lease: str, handle: Secret, seconds: float) -> JsonObject:
        """Keep a lease for a look. Raises `NoCapacity` if the budget of holds is used up."""
        return self._call("POST", _lease(lease, "hold"), {"for_s": seconds}, handle=handle)

    def set_domain(self, lease: str, handle: Secret, domain: str) -> JsonObject:
        """Apply the run's domain; return the lease document."""
        return self._call("PUT", _lease(lease, "domain"), {"domain": domain}, handle=handle)

    def attach(self, lease: str, handle: Secret, stack: str) -> JsonObject:
        """Let a stack end with the lease; return what it owns."""
        return self._call("PUT", _lease(lease, "stack"), {"name": stack}, handle=handle)

    def leases(self, under: str = "") -> list[JsonObject]:
        """Return the active leases, or all under a verdict, without secrets."""
        query = f"?verdict={quote(under, safe='')}" if under else ""
        return list(self._call("GET", f"/v1/leases{query}")["leases"])

    def fingerprint(self) -> JsonObject:
        """Return the installation's fingerprint, part by part."""
        return self._call("GET", "/v1/fingerprint")

    # ------------------------------------------------------------ the installation

    def recipes(self) -> list[JsonObject]:
        """Return the enrolled recipes."""
        return list(self._call("GET", "/v1/recipes")["recipes"])

    def verdicts(self) -> list[JsonObject]:
        """Return how audits ended, oldest first."""
        found: list[JsonObject] = self._call("GET", "/v1/verdicts")["verdicts"]
        return found

    def status(self) -> JsonObject:
        """Return what runs."""
        return self._call("GET", "/v1/status")

    def alive(self) -> bool:
        """Say whether a service answers at all."""
        try:
            return self._connection.request("GET", "/livez", timeout=self._timeout).status == 200
        except Unreachable:
            return False

    def ready(self) -> bool:
        """Say whether a lease is possible. Raises `Unreachable` if the service does not run."""
        return self._connection.request("GET", "/readyz", timeout=self._timeout).status == 200

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text form."""
        answer = self._connection.request("GET", "/metrics", timeout=self._timeout)
        if answer.status != 200:
            raise _problem(answer)
        return answer.text

    # ------------------------------------------------------------ admin and reviewer

    def enroll(
        self, name: str, path: Path, *, pool_min: int | None = None, pool_max: int | None = None
    ) -> JsonObject:
        """Enrol the recipe in folder `path`, or read it again."""
        body = {"path": str(path), "pool_min": pool_min, "pool_max": pool_max}
        return self._call("PUT", f"/v1/recipes/{quote(name, safe='')}", body)

    def unenroll(self, name: str) -> JsonObject:
        """Forget a recipe and retire its pool."""
        return self._call("DELETE", f"/v1/recipes/{quote(name, safe='')}")

    def revoke(self, lease: str, *, by: str, why: str) -> JsonObject:
        """End anybody's lease; return how far it is. The reason is what its holder hears."""
        return self._call("POST", _lease(lease, "revoke"), {"by": by, "why": why})

    def quarantine(self) -> JsonObject:
        """Return the `tenants` and the `stacks` whose teardown failed too often."""
        return self._call("GET", "/v1/quarantine")

    def retry_quarantine(self, tenant: str | None = None) -> int:
        """Try the teardown of one tenant, or of all and of stacks, again now; return how many."""
        return int(self._call("POST", "/v1/quarantine/retry", {"id": tenant})["retried"])

    def force_gone(self, tenant: str) -> JsonObject:
        """Declare a quarantined tenant gone by hand."""
        return self._call("POST", f"/v1/quarantine/{quote(tenant, safe='')}/force")

    def record_verdict(self, verdict: Mapping[str, Any]) -> JsonObject:
        """Record how an audit ended; `verdict` is the content of its `verdict.json`."""
        return self._call("POST", "/v1/verdicts", verdict)

    def approve(self, verdict: str, *, by: str, why: str = "") -> JsonObject:
        """Record a reviewer's approval of a verdict."""
        target = f"/v1/verdicts/{quote(verdict, safe='')}/approve"
        return self._call("POST", target, {"by": by, "why": why})

    def revert(self, *, by: str, why: str) -> JsonObject:
        """Record a reviewer's revert: no sharing until it is lifted."""
        return self._call("POST", "/v1/revert", {"by": by, "why": why})

    def lift(self) -> int:
        """Lift the standing reverts; return how many there were."""
        return int(self._call("POST", "/v1/lift")["lifted"])

    def shut_down(self, *, instances: bool, purge: bool = False) -> JsonObject:
        """End the service, with `instances` its servers too; `purge` removes all it made first."""
        body = {"instances": instances, "purge": purge}
        timeout = PURGE_TIMEOUT if purge else self._timeout
        return self._call("POST", "/v1/shutdown", body, timeout=timeout)

    # ------------------------------------------------------------ the wire

    def _call(
        self,
        method: str,
        target: str,
        body: Mapping[str, Any] | None = None,
        *,
        handle: Secret | None = None,
        timeout: float | None = None,
    ) -> JsonObject:
        headers = {"Warminfra-Handle": _as_header(handle)} if handle else {}
        answer = self._connection.request(
            method, target, body, headers=headers, timeout=timeout or self._timeout
        )
        if answer.status >= 400:
            raise _problem(answer)
        return answer.body


def _why(body: JsonObject) -> str:
    """Return why there is no lease yet, and the place in the queue if there is one."""
    reason = str(body.get("reason") or body.get("detail") or "no reason")
    place = body.get("place")
    return f"{reason} (place {place} in the queue)" if place else reason


def _lease(lease: str, *rest: str) -> str:
    return "/".join(("/v1/leases", quote(lease, safe=""), *rest))


def _as_header(handle: Secret) -> str:
    value = handle.reveal()
    if not (value.isascii() and value.isprintable()):
        raise WrongHandle("the handle given has characters that no handle has")
    return value


def _problem(answer: Answer) -> Exception:
    """Return the error that an answer stands for."""
    body = answer.body
    if "code" not in body:
        return Internal(f"the service answered {answer.status} without a reason")
    return from_code(
        str(body["code"]), str(body.get("detail") or body.get("title")), str(body.get("hint", ""))
    )
