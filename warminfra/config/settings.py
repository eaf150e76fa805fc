"""Every setting that warminfra knows, with its kind and default. Nothing else is accepted.

The tree is frozen: it is read once at start. Durations are `timedelta`, sizes bytes, secrets
`Secret`; a path that is None was not given.
"""

# ruff: noqa: RUF009 - `_of` makes a dataclass field, which is evaluated once on purpose.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from warminfra.config.kinds import (
    ACCEPTANCES,
    ADDRESS_OR_NONE,
    ADDRESSES,
    BOOLEAN,
    DURATION,
    OFF_OR_DURATION,
    PATH,
    SECRET,
    SIZE,
    TEXT,
    Kind,
    choice,
    integer,
    matching,
    web_url,
)
from warminfra.core.acceptance import Acceptance
from warminfra.core.secret import Secret

T = TypeVar("T")

KEYCLOAK_VERSION = "26.7.4"
KEYCLOAK_SHA256 = "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee"
"""Digest of the official distribution of `KEYCLOAK_VERSION`, as tar.gz."""

_PORT = integer(0, 65535)
_NAME = r"(?=[a-z0-9.-]{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"


def _of(kind: Kind, default: T) -> T:
    """Declare a setting: a dataclass field that carries its kind."""
    made: T = field(default=default, metadata={"kind": kind})
    return made


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service keeps its files, and how it behaves on its host."""

    state_dir: Path = field(metadata={"kind": PATH})
    cache_dir: Path = field(metadata={"kind": PATH})
    runtime_dir: Path = field(metadata={"kind": PATH})
    group: str = _of(TEXT, "")
    """Group that may use the run socket; empty: the service's own user alone."""
    log_level: str = _of(choice("debug", "info", "warning", "error"), "info")
    disk_reserve: int = _of(SIZE, 512 << 20)
    """Bytes that stay free: below it there are no new leases."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """The policy of the gate. Never read from the repository under test."""

    policy: str = _of(choice("proven", "unproven", "never"), "proven")
    min_profile: str = _of(choice("smoke", "standard", "soak"), "standard")
    max_age: timedelta = _of(DURATION, timedelta(days=7))
    require: str = _of(choice("audit+reviewer", "audit"), "audit+reviewer")


@dataclass(frozen=True, slots=True)
class Audit:
    """The reviewer's policy for audits. Never read from the repository under test."""

    accept: tuple[Acceptance, ...] = _of(ACCEPTANCES, ())
    """Findings that may stand, by name, for a time."""
    schedule: timedelta = _of(OFF_OR_DURATION, timedelta())
    """Age of the newest verdict from which on the service audits anew while no lease lives."""
    profile: str = _of(choice("smoke", "standard", "soak"), "standard")
    """Of those audits."""


@dataclass(frozen=True, slots=True)
class Leases:
    """How long a lease may live."""

    ttl: timedelta = _of(DURATION, timedelta(minutes=30))
    max_ttl: timedelta = _of(DURATION, timedelta(hours=6))
    grace: timedelta = _of(DURATION, timedelta(seconds=30))
    """Time in which heartbeats may resume after a restart."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What may be kept for a look after its run."""

    max: int = _of(integer(0), 3)
    """Leases at the same time."""
    memory: int = _of(SIZE, 2 << 30)
    """Bytes that they may take together, their stacks included."""
    max_time: timedelta = _of(DURATION, timedelta(hours=24))


@dataclass(frozen=True, slots=True)
class Pool:
    """Ready tenants kept for each recipe that does not say otherwise."""

    min: int = _of(integer(0), 2)
    max: int = _of(integer(0), 5)


@dataclass(frozen=True, slots=True)
class Instances:
    """How many servers there are, and how many tenants one warm instance has."""

    soft_cap: int = _of(integer(1), 100)
    hard_cap: int = _of(integer(1), 200)
    replace_after: int = _of(integer(1), 1000)
    warm: int = _of(integer(1, 16), 1)
    """Warm instances; the one with the fewest tenants makes the next."""
    memory: int = _of(SIZE, 0)
    """Bytes that all instances together may have, by their limits; 0: half of the machine's."""
    spares: int = _of(integer(0, 16), 1)
    """Dedicated servers kept ready where a recipe may not share and there is room."""
    park_after: timedelta = _of(OFF_OR_DURATION, timedelta(minutes=10))
    """Time without a recipe that may share after which the warm instances are stopped."""


@dataclass(frozen=True, slots=True)
class Keycloak:
    """The Keycloak server: where it comes from, how it runs, or which one to use instead."""

    version: str = _of(matching(r"\d+\.\d+\.\d+", 'a version such as "26.7.4"'), KEYCLOAK_VERSION)
    sha256: str = _of(matching(r"[0-9a-f]{64}", "64 lower-case hex digits"), KEYCLOAK_SHA256)
    archive: Path | None = _of(PATH, None)
    """The distribution's tar.gz, if it is here already."""
    home: Path | None = _of(PATH, None)
    """An unpacked distribution; only read, never built in."""
    java_home: Path | None = _of(PATH, None)
    offline: bool = _of(BOOLEAN, False)
    http_port: int = _of(_PORT, 0)
    """0: a free port, kept for the life of the instance."""
    management_port: int = _of(_PORT, 0)
    heap: int = _of(SIZE, 512 << 20)
    memory_limit: int = _of(SIZE, 1536 << 20)
    dedicated_heap: int = _of(SIZE, 256 << 20)
    dedicated_memory_limit: int = _of(SIZE, 768 << 20)
    transaction_timeout: timedelta = _of(DURATION, timedelta(seconds=60))
    password_policy: str = _of(matching(r"\S.*", '"fast", "stock" or a policy text'), "fast")
    """`fast` hashes cheaply, `stock` as Keycloak does by itself."""
    outgoing: bool = _of(BOOLEAN, True)
    """Whether the server may call addresses that a tenant's admin names (egress)."""
    url: str = _of(web_url('a URL such as "https://sso.ci.example" or "http://[::1]:8080"'), "")
    """A server that is not ours, to be used instead of one of our own."""
    admin_client_id: str = _of(TEXT, "")
    admin_client_secret: Secret | None = _of(SECRET, None)
    admin_client_secret_file: Path | None = _of(PATH, None)
    admin_username: str = _of(TEXT, "")
    admin_password: Secret | None = _of(SECRET, None)
    admin_password_file: Path | None = _of(PATH, None)


@dataclass(frozen=True, slots=True)
class Reach:
    """How browsers, tests and containers get to the server."""

    mode: str = _of(choice("host", "node", "front"), "host")
    """`host`: plain HTTP on loopback. `node`: HTTPS by a CA of our own, on an address that
    containers reach. `front`: behind a proxy of the operator's."""
    address: str = _of(ADDRESS_OR_NONE, "")
    """Where servers listen; empty: in mode node the engine's bridge, in mode front loopback."""
    name: str = _of(matching(rf"({_NAME})?", "a host name in lower case"), "")
    """In mode node, instead of the address, what the server is called; empty: the address."""
    public_url: str = _of(
        web_url(
            'a URL such as "https://sso.ci.example" or "https://sso.ci.example:{port}"',
            any_port=True,
        ),
        "",
    )
    """In mode front, the proxy's URL; `{port}` stands for the server's own port."""
    trusted_proxies: tuple[str, ...] = _of(ADDRESSES, ("127.0.0.1",))
    """In mode front, the addresses or networks from which the proxy comes."""
    proxy_headers: str = _of(choice("xforwarded", "forwarded"), "xforwarded")
    """The headers that the proxy sets."""
    ca_file: Path | None = _of(PATH, None)
    """In mode front, the CA of the proxy's certificate, if it is not in the system's store."""

    @property
    def one_server(self) -> bool:
        """Whether the proxy leads to one server, on a port that its URL does not name."""
        return self.mode == "front" and "{port}" not in self.public_url


@dataclass(frozen=True, slots=True)
class Engine:
    """The container engine of this node."""

    host: str = _of(TEXT, "")
    """As in `DOCKER_HOST`, which counts if this is empty; then Docker's own default."""
    config_file: Path = _of(PATH, Path("/etc/docker/daemon.json"))
    """Where `images mirror install` names the mirror."""
    pid_file: Path = _of(PATH, Path("/var/run/docker.pid"))
    """Whom it then tells to read that file again."""


@dataclass(frozen=True, slots=True)
class Images:
    """The warm image set."""

    parallel: int = _of(integer(1, 16), 1)
    """Images downloaded at the same time; any number is unpacked meanwhile."""
    deadline: timedelta = _of(DURATION, timedelta(minutes=30))
    """Longest time for one pre-pull."""
    budget: int = _of(SIZE, 0)
    """Bytes on the disk that our images may take, those that no recipe needs included."""
    look_every: timedelta = _of(DURATION, timedelta(seconds=30))
    """Time between two looks of the service at what it keeps."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A pull-through mirror of one registry, on this node."""

    upstream: str = _of(web_url('a URL such as "https://registry.example"', path=False), "")
    """The registry that it mirrors; empty: there is no mirror."""
    port: int = _of(_PORT, 5055)
    """On loopback."""
    program: str = _of(TEXT, "docker-registry")
    """The registry server."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    service: Service
    sharing: Sharing = field(default_factory=Sharing)
    leases: Leases = field(default_factory=Leases)
    hold: Hold = field(default_factory=Hold)
    pool: Pool = field(default_factory=Pool)
    instances: Instances = field(default_factory=Instances)
    keycloak: Keycloak = field(default_factory=Keycloak)
    reach: Reach = field(default_factory=Reach)
    audit: Audit = field(default_factory=Audit)
    engine: Engine = field(default_factory=Engine)
    images: Images = field(default_factory=Images)
    mirror: Mirror = field(default_factory=Mirror)


SECTIONS: Mapping[str, type[Any]] = {
    "service": Service,
    "sharing": Sharing,
    "audit": Audit,
    "leases": Leases,
    "hold": Hold,
    "pool": Pool,
    "instances": Instances,
    "keycloak": Keycloak,
    "reach": Reach,
    "engine": Engine,
    "images": Images,
    "mirror": Mirror,
}

POLICY_SECTIONS = frozenset({"sharing", "audit"})
"""Read from the user's and the system's configuration alone."""


def section_mapping(section: Any) -> dict[str, Any]:
    """Return one section as name → value, for a provider, which does not know these classes.

    Durations are given in seconds, sizes in bytes; secrets stay `Secret`.
    """
    plain = {spec.name: getattr(section, spec.name) for spec in fields(section)}
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in plain.items()
    }


def kinds() -> Iterator[tuple[str, str, Kind]]:
    """Yield section, key and kind of every setting, in order."""
    for section, cls in SECTIONS.items():
        specs: tuple[Field[Any], ...] = fields(cls)
        for spec in specs:
            yield section, spec.name, spec.metadata["kind"]
