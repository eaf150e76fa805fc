"""A provider's second face, for the prover: what a holder has, where to try it, what is there.

Nothing here is used to serve a lease. A `Reply` is canonical: two replies are equal if an attacker
learns nothing from their difference (ids, times, names of tenants and tokens are taken out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from warminfra.core.models import JsonObject, ServerAccess
from warminfra.core.ports import Distribution, ProviderPackage
from warminfra.core.reach import FindReach, Reach
from warminfra.core.secret import Secret
from warminfra.core.template import Template

MASTER = ""
"""The target that is no tenant: the server's own administration."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Something that a lease's holder has, or had. `one_shot`: trying it may use it up."""

    kind: str
    tenant: str
    """Name of the tenant that it is of."""
    value: Secret
    context: Mapping[str, Secret] = field(default_factory=dict)
    """What goes with it where it is used: client id and secret, user name."""
    one_shot: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One endpoint, one verb, one kind of credential: the unit in which coverage is counted."""

    kind: str
    verb: str
    endpoint: str
    server_wide: bool = False
    """It is of no tenant: there is one target, the server."""
    answers_all: bool = False
    """Even what never was valid is answered there without a refusal: what is said counts."""

    @property
    def looks_at_server(self) -> bool:
        """It only reads from the server itself: then what it is told counts, not that it may."""
        return self.server_wide and self.verb == "GET"

    def __str__(self) -> str:
        return f"{self.kind} at {self.verb} {self.endpoint}"


REFUSED = 400
"""From this status on an answer is a refusal."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A canonical answer."""

    status: int
    text: str
    mentions: frozenset[str] = frozenset()
    """Names of tenants in the answer as it came."""
    host: frozenset[str] = frozenset()
    """What of the server's host stood in the answer as it came, by name."""

    def __str__(self) -> str:
        return f"{self.status} {self.text}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a server's database: its texts, and those of them that are secrets."""

    table: str
    texts: tuple[str, ...]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StockCrossing:
    """Something that the server lets cross as it is delivered; what a reviewer has to know of it.

    A finding is explained by it if its name (`CHANNEL:witness`) is one of the `names`, and the
    template that was audited has one of the features of `needs`: without them it would be new.
    `upstream` names the server's own issue, or says that there is none.
    """

    seen_with: str
    """The server and its version."""
    names: tuple[str, ...]
    needs: tuple[str, ...]
    title: str
    what: str
    upstream: str
    avoided_by: str


class Browser(Protocol):
    """One browser profile, with whatever cookies it was given. Claims: `iss`, `sub`, `sid`."""

    def sign_in(self, lease: JsonObject) -> Mapping[str, str]:
        """Sign the first user in by the form; return the claims of its ID token."""
        ...

    def comes_back(self, lease: JsonObject) -> Mapping[str, str]:
        """Return whom the tenant takes the profile for without asking; {} if it would ask."""
        ...

    def sign_out(self, lease: JsonObject) -> None:
        """Sign out of the lease's app."""
        ...

    def cookies(self) -> Sequence[tuple[str, str]]:
        """Return name and path of every cookie held."""
        ...


class AuditSurface(Protocol):
    """One server under audit. `lease` is always a lease document; `MASTER` stands for master."""

    def mint(self, lease: JsonObject) -> Sequence[Credential]:
        """Return every kind of credential and artifact that the lease can be made to yield."""
        ...

    def fresh(self, lease: JsonObject) -> JsonObject:
        """Make a client and users of the same kind inside the tenant; return the lease as theirs.

        So that one tenant serves some programs, each with holders that nobody knew before.
        """
        ...

    def again(self, credential: Credential, lease: JsonObject) -> Credential:
        """Return a twin: a credential of the same kind, minted now by the same lease."""
        ...

    def never_valid(self, credential: Credential) -> Credential:
        """Return one of the same kind and form that no server ever accepted."""
        ...

    def artifacts(self) -> Sequence[str]:
        """Return every kind of one-shot artifact that such a server knows."""
        ...

    def artifact(self, kind: str, lease: JsonObject) -> Credential:
        """Return a fresh one. Raises `ProviderRefused` if the tenant has none, with the reason."""
        ...

    def once(self) -> Sequence[str]:
        """Return the kinds of values that a client chooses and that a server may remember."""
        ...

    def use(self, kind: str, value: str, lease: JsonObject) -> Reply:
        """Make the legal call with that value. Raises `ProviderRefused` if the tenant cannot."""
        ...

    def furnished(self, lease: JsonObject) -> JsonObject:
        """Return the lease after its own admin has made what a careless test suite makes."""
        ...

    def with_mail(self, lease: JsonObject, port: int, box: Callable[[], bytes]) -> None:
        """Let the tenant send mail to that port of loopback; `box` waits for the next one."""
        ...

    def cells(self, kind: str) -> Sequence[Cell]:
        """Return where a credential of that kind can be tried."""
        ...

    def known_cells(self) -> Sequence[Cell]:
        """Return every cell that there is, of every kind, minted here or not."""
        ...

    def lacking(self, kinds: Set[str]) -> Mapping[str, str]:
        """Return every lasting kind beyond those, with the reason why a lease may not yield it."""
        ...

    def attempt(self, cell: Cell, credential: Credential, target: JsonObject | None) -> Reply:
        """Try it at the target lease's tenant, or at master (None)."""
        ...

    def keys(self, lease: JsonObject) -> frozenset[str]:
        """Return what names each key of the tenant, the symmetric ones too."""
        ...

    def digest(self, lease: JsonObject) -> str:
        """Return a digest of what is inside the tenant, its sessions included."""
        ...

    def roles(self, lease: JsonObject) -> Mapping[str, frozenset[str]]:
        """Return for each leased user the roles in its token, by names that no lease has alone."""
        ...

    def granted(self, template: Template) -> Mapping[str, frozenset[str]]:
        """Return for each user of the template the roles that it is to have in effect."""
        ...

    def inside(self, lease: JsonObject) -> str:
        """Return what the digest is of, and all that each user has; dearer."""
        ...

    def shape(self, lease: JsonObject) -> Mapping[str, str]:
        """Return by part what is inside the tenant, as it is in every lease of its template.

        Names, ids, secrets, times and sessions, which each lease has of its own, are taken out.
        """
        ...

    def everything(self, lease: JsonObject) -> str:
        """Return all that can be read inside the tenant, events included, as one text."""
        ...

    def server_state(self) -> Mapping[str, str]:
        """Return the server's own settings by part, without what is of single tenants."""
        ...

    def keep_events(self, lease: JsonObject) -> None:
        """Let the tenant keep its events."""
        ...

    def host_facts(self) -> Mapping[str, str]:
        """Return name → text of what no tenant may learn of the host, canaries included."""
        ...

    def placeholders(self) -> Sequence[str]:
        """Return texts that a careless server would replace by something of its own."""
        ...

    def browser(self) -> Browser:
        """Return a new browser profile."""
        ...

    def mark(self, lease: JsonObject, mark: str) -> Sequence[str]:
        """Write the mark into every field that the lease can write; return the fields' names."""
        ...

    def heard(self, listen: Callable[[str, str, str], None]) -> AbstractContextManager[None]:
        """Show `listen` each exchange: tenant ("": none), request in short, all that came back."""
        ...

    def ways(self, lease: JsonObject) -> Sequence[str]:
        """Return the ways by which the lease might make the server call an address."""
        ...

    def go(self, way: str, lease: JsonObject, address: str) -> None:
        """Try one; whether it worked, only who listens at the address can say."""
        ...

    def reach(self, port: int) -> None:
        """Call that port of loopback oneself: the positive control of who listens there."""
        ...

    def known(self, lease: JsonObject) -> JsonObject:
        """Return the lease with the internal ids that the worst attacker would know, `audit`."""
        ...

    def rename(self, lease: JsonObject, name: str) -> None:
        """Call the tenant otherwise, as the owner of its whole inside may."""
        ...

    def inventory(self) -> Mapping[str, frozenset[str]]:
        """Return all that is on the server, by kind of thing."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class AuditPackage(ProviderPackage, Protocol):
    """A provider package that can be audited."""

    def audited(self, settings: Mapping[str, object], reach: FindReach = Reach) -> Distribution:
        """Return the distribution whose copies keep an auditor's identity: for scratch only."""
        ...

    def surface(self, access: ServerAccess) -> AuditSurface:
        """Return the surface of a scratch server."""
        ...

    def stock_crossings(self) -> Sequence[StockCrossing]:
        """Return what is known to cross on the server as it is delivered, () if nothing is."""
        ...

    def rows(self, settings: Mapping[str, object], data: Path, work: Path) -> Sequence[Row]:
        """Return all rows of the database below an instance's data, whether it runs or not.

        What has to be written for that is written, and removed, in the folder `work`.
        """
        ...
