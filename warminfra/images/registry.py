"""Asks registries what a name means now (Registry HTTP API v2), as the engine would ask them.

Every manifest is checked against its digest, and kept by it: content that never changes is fetched
once, and does not count against a registry's limit again. Each call has a deadline; what may pass
(no answer, 5xx, 429) is tried again with growing, jittered pauses, or after `Retry-After`.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from warminfra.core.engine import EngineFacts
from warminfra.core.errors import RegistryRefused, Unreachable
from warminfra.core.files import private_dir, write_private
from warminfra.images.credentials import Credentials
from warminfra.images.endpoints import Endpoint, endpoints_of
from warminfra.images.reference import Reference
from warminfra.images.tokens import Tokens

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
CALL_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
PATIENCE = 60.0
"""Seconds in which a call that may yet succeed is tried again."""
DOWN_PATIENCE = 10.0
"""Seconds in which one is that nobody takes: the time of a restart. It answers "no" at once."""

_CERTIFICATES = Path("/etc/docker/certs.d")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: `digest` and `size` compressed, `unpacked` the digest that the store knows."""

    digest: str
    size: int
    unpacked: str


@dataclass(frozen=True, slots=True)
class Content:
    """What one platform's image is made of."""

    platform: str
    digest: str
    """Of this platform's manifest."""
    image: str
    """Digest of its configuration: the id that the engine gives to the image."""
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a registry said of its rate limit: pulls left of so many in a window of seconds."""

    limit: int
    remaining: int
    window: float


class _Again(Exception):
    """The call failed in a way that may pass; `pause` is the registry's own advice."""

    def __init__(
        self, error: Exception, pause: float = 0.0, patience: float = float("inf")
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause
        self.patience = patience


_GROWING = wait_random_exponential(multiplier=0.5, max=15.0)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    advised = error.pause if isinstance(error, _Again) else 0.0
    return advised + _GROWING(state)


@dataclass(slots=True)
class Registry:
    """A client for all registries that one engine uses. Calls may come from several threads."""

    facts: EngineFacts
    credentials: Credentials
    cache: Path
    patience: float = PATIENCE
    allowances: dict[str, Allowance] = field(default_factory=dict)
    """By domain, as last heard."""
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _tokens: Tokens = field(default_factory=Tokens)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def digest_of(self, name: Reference) -> str:
        """Return what the tag means now, without fetching it: a question that counts as no pull.

        Raises `RegistryRefused` (unknown, not allowed) and `Unreachable`.
        """
        answer = self._ask("HEAD", name, f"manifests/{name.digest or name.tag}")
        digest = answer.headers.get("Docker-Content-Digest", "")
        return digest or _digest(self._ask("GET", name, f"manifests/{name.tag}").content)

    def platforms(self, name: Reference) -> dict[str, str]:
        """Return platform → digest of its manifest, of a name that is bound to a digest."""
        document = self._manifest(name)
        if document.get("mediaType") in INDEXES or "manifests" in document:
            return {
                platform: str(entry["digest"])
                for entry in document["manifests"]
                if (platform := _platform(entry.get("platform", {}))) != "unknown/unknown"
            }
        return {_platform(self._blob(name, document["config"]["digest"])): name.digest}

    def content(self, name: Reference, platform: str) -> Content:
        """Return what the image at `name`, bound to a digest, is made of on `platform`."""
        found = self.platforms(name)
        digest = found.get(platform) or next(
            (own for other, own in found.items() if other.startswith(f"{platform}/")), ""
        )
        if not digest:
            raise RegistryRefused(
                f"{name}: no image for {platform}, only for {', '.join(sorted(found))}",
                hint="use an image that is built for this node",
            )
        document = self._manifest(name.at(digest))
        image = str(document["config"]["digest"])
        unpacked = self._blob(name, image)["rootfs"]["diff_ids"]
        layers = tuple(
            Layer(str(row["digest"]), int(row["size"]), str(below))
            for row, below in zip(document["layers"], unpacked, strict=True)
        )
        return Content(platform, digest, image, layers)

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()

    # ------------------------------------------------------------ documents by digest

    def _manifest(self, name: Reference) -> dict[str, Any]:
        return self._kept(name, "manifests", name.digest)

    def _blob(self, name: Reference, digest: str) -> dict[str, Any]:
        return self._kept(name, "blobs", digest)

    def _kept(self, name: Reference, kind: str, digest: str) -> dict[str, Any]:
        file = self.cache / digest.replace(":", "-")
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            text = b""
        if _digest(text) != digest:
            text = self._ask("GET", name, f"{kind}/{digest}").content
            if _digest(text) != digest:
                raise RegistryRefused(
                    f"{name.domain or 'the default registry'} served {_digest(text)} for {digest}",
                    hint="do not use this registry before its operator has looked at it",
                )
            write_private(private_dir(self.cache) / file.name, text.decode())
        document: dict[str, Any] = json.loads(text)
        return document

    # ------------------------------------------------------------ the wire

    def _ask(self, method: str, name: Reference, what: str) -> httpx.Response:
        failure: Exception = Unreachable(f"{name}: no registry to ask")
        for endpoint in endpoints_of(name, self.facts):
            try:
                return self._ask_patiently(method, name, what, endpoint)
            except (Unreachable, RegistryRefused) as error:
                failure = error
        raise failure

    def _ask_patiently(
        self, method: str, name: Reference, what: str, endpoint: Endpoint
    ) -> httpx.Response:
        retrying = Retrying(
            stop=self._enough,
            wait=_pause,
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return retrying(self._ask_once, method, name, what, endpoint)
        except _Again as again:
            raise again.error from None

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        own = error.patience if isinstance(error, _Again) else self.patience
        return (state.seconds_since_start or 0.0) + state.upcoming_sleep >= min(own, self.patience)

    def _ask_once(
        self, method: str, name: Reference, what: str, endpoint: Endpoint
    ) -> httpx.Response:
        path = f"/v2/{name.path}/{what}"
        scope = f"repository:{name.path}:pull"
        client = self._client(endpoint)
        login = {} if endpoint.mirror else self.credentials.of(name.domain)
        try:
            header = self._tokens.header(endpoint.url, scope)
            answer = client.request(method, path, headers={"Accept": ACCEPT, **header})
            if answer.status_code == 401:
                header = self._tokens.renew(client, answer, endpoint.url, scope, login)
                answer = client.request(method, path, headers={"Accept": ACCEPT, **header})
        except httpx.HTTPError as error:
            raise _Again(
                Unreachable(
                    f"{name}: the registry at {endpoint.url} does not answer: {error}",
                    hint="see whether it runs and this node reaches it",
                ),
                patience=DOWN_PATIENCE if isinstance(error, httpx.ConnectError) else self.patience,
            ) from None
        self._note_allowance(name.domain, answer.headers)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _Again(
                Unreachable(
                    f"{name}: the registry at {endpoint.url} answers {answer.status_code}",
                    hint="log in to it for a higher limit, or use a mirror"
                    if answer.status_code == 429
                    else "try again later",
                ),
                retry_after(answer.headers),
            )
        if answer.status_code >= 400:
            raise RegistryRefused(_why(name, answer), hint="see the name and `docker login`")
        return answer

    def _client(self, endpoint: Endpoint) -> httpx.Client:
        with self._making:
            if endpoint.url not in self._clients:
                authority = _CERTIFICATES / httpx.URL(endpoint.url).netloc.decode() / "ca.crt"
                trust: ssl.SSLContext | bool = True
                if authority.exists():
                    trust = ssl.create_default_context(cafile=str(authority))
                self._clients[endpoint.url] = httpx.Client(
                    base_url=endpoint.url,
                    timeout=CALL_TIMEOUT,
                    verify=trust,
                    follow_redirects=True,
                )
            return self._clients[endpoint.url]

    def _note_allowance(self, domain: str, headers: Mapping[str, str]) -> None:
        limit, window = _with_window(headers.get("ratelimit-limit", ""))
        remaining, _ = _with_window(headers.get("ratelimit-remaining", ""))
        if limit is not None and remaining is not None:
            self.allowances[domain] = Allowance(limit, remaining, window)


def open_registry(facts: EngineFacts, cache_dir: Path) -> Registry:
    """Return a client of the registries of that engine, with Docker's own logins."""
    return Registry(facts, Credentials(), cache_dir / "manifests")


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that `Retry-After` asks for, 0 if it does not, or names a date."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _platform(found: Mapping[str, Any]) -> str:
    """Return `os/architecture`, with the variant where it tells more than its architecture."""
    plain = f"{found.get('os', 'unknown')}/{found.get('architecture', 'unknown')}"
    variant = found.get("variant", "")
    return plain if not variant or plain == "linux/arm64" else f"{plain}/{variant}"


def _with_window(text: str) -> tuple[int | None, float]:
    """Read `100;w=21600`."""
    number, _, rest = text.partition(";")
    window = rest.strip().removeprefix("w=")
    return (
        int(number) if number.strip().isdigit() else None,
        float(window) if window.isdigit() else 0.0,
    )


def _why(name: Reference, answer: httpx.Response) -> str:
    try:
        told = "; ".join(str(row["code"]) for row in answer.json()["errors"])
    except (ValueError, KeyError, TypeError):
        told = ""
    what = {401: "not logged in", 403: "not allowed", 404: "unknown there"}
    reason = what.get(answer.status_code, f"status {answer.status_code}")
    return f"{name}: {reason}{f' ({told})' if told else ''}"
