"""What the lease machine needs from outside, as protocols.

Errors of every provider call: `Unreachable` (nothing was sent), `ProviderRefused` (a sure no,
nothing done), `OutcomeUnknown` (timeout, 5xx, cut connection: done or not, nobody knows).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from warminfra.core.engine import (
    EngineFacts,
    LocalContainer,
    LocalImage,
    PullEvent,
    RunningImage,
    StackObject,
)
from warminfra.core.ids import InstallationId, InstanceId
from warminfra.core.models import (
    Capabilities,
    FoundTenant,
    ProcessRef,
    RunningInstance,
    ServerAccess,
    TenantFacts,
    TenantMaterial,
    TenantPlan,
    TenantRef,
)
from warminfra.core.reach import FindReach, Reach
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template, UserSpec

Progress = Callable[[str], None]
"""Takes one line for people: what is being done now."""


class Provider(Protocol):
    """One server, seen as a holder of tenants. Calls may come from several threads."""

    def create_tenant(self, plan: TenantPlan) -> TenantFacts:
        """Make the tenant complete, under the internal id of the plan, and readable."""
        ...

    def personalise(
        self, ref: TenantRef, client: ClientSpec, material: TenantMaterial, domain: str
    ) -> None:
        """Apply what only the run knows: its domain, in the client's redirect URIs."""
        ...

    def destroy_tenant(self, ref: TenantRef) -> None:
        """Kill the leased credentials, then the tenant. Fine if it is gone already.

        Acts on the object with that internal id only, whatever its name is by now; refuses (by
        `ProviderRefused`) an object of that name with another id.
        """
        ...

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        """Look with a view-only identity; return what is left of the tenant, nothing if gone."""
        ...

    def list_tenants(self) -> Sequence[FoundTenant]:
        """Return the tenants of exactly this installation that exist now."""
        ...

    def health(self) -> None:
        """Return if the server answers an authenticated call, raise `Unreachable` if not."""
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """Return what of the server a verdict depends on, name → digest or value."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what the server can do."""
        ...


@runtime_checkable
class FitsTemplates(Protocol):
    """A provider that can say, before a tenant is made, whether its server takes a template."""

    def fitted(self, template: Template) -> tuple[Template, Sequence[str]]:
        """Return the template as this server takes it, and a line for each thing that is less so.

        Raises `RecipeInvalid` with everything that the server would refuse, or fail on.
        """
        ...


@runtime_checkable
class Condemns(Protocol):
    """A provider that can make a tenant harmless before its turn comes to be destroyed."""

    def condemn(self, ref: TenantRef) -> None:
        """Kill the leased credentials, and note what the later look needs. Fine if it is gone.

        Makes and destroys no tenant: it may go on while another one is made or destroyed. Refuses
        what `destroy_tenant` refuses, and is never called beside it for the same tenant.
        """
        ...


class Launcher(Protocol):
    """Starts and stops servers. An instance keeps its data and its address over restarts."""

    def prepare(self, progress: Progress) -> None:
        """Get, build and pre-initialise whatever a start needs. Repeating it is cheap."""
        ...

    def instances(self) -> Collection[InstanceId]:
        """Return all that it has made and not discarded, whether they run or not."""
        ...

    def start(self, instance: InstanceId, progress: Progress) -> RunningInstance:
        """Start `instance`, from its data or, if it has none, from a re-keyed snapshot copy."""
        ...

    def adopt(self, instance: InstanceId) -> RunningInstance | None:
        """Return the instance if its process lives and is healthy, or None."""
        ...

    def alive(self, running: RunningInstance) -> bool:
        """Say at once, without I/O to the server, whether this very process still lives."""
        ...

    def stop(self, instance: InstanceId, *, discard: bool) -> None:
        """Stop the process, cleanly if it lets us; with `discard` remove its data too."""
        ...

    def renounce(self, instance: InstanceId) -> None:
        """Give up the service's identities on it, which it refused at two starts in a row: the
        next `start` makes new ones."""
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """Return what of the installation a verdict depends on: digests, version, JDK, options."""
        ...


class Processes(Protocol):
    """Looks at processes of this machine."""

    def alive(self, process: ProcessRef) -> bool:
        """Say whether that very process runs (a zombie does not)."""
        ...

    def watch(self, processes: Collection[ProcessRef]) -> None:
        """Look out for the ends of exactly these from now on."""
        ...

    def wait(self, timeout: float) -> bool:
        """Return True as soon as a watched one has ended, each told once; False after `timeout`
        seconds."""
        ...


class Distribution(Protocol):
    """A kind of server as files: how it is had, built, run and taken over.

    The generic part (directories, processes, snapshots) is in `instances`; this is what the
    provider's package knows.
    """

    name: str

    @property
    def address(self) -> str:
        """The address on which the server's `http` port listens; `management` is on loopback."""
        ...

    def obtain(self, cache: Path, progress: Progress) -> Path:
        """Return a built, read-only home of the server below `cache`, making it if need be."""
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """Return digests and values that name this very build and its effective options."""
        ...

    def command(
        self, home: Path, data: Path, ports: Mapping[str, int], bootstrap: Secret | None
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return argv (no secret in it) and environment of a start on `data`.

        `ports` has `http` and `management`. With `bootstrap` the first start on empty data makes
        a bootstrap client with that secret. May lay out `data`; repeating it changes nothing, and
        without `bootstrap` the same arguments give the same answer.
        """
        ...

    def rehearsal(
        self, home: Path, data: Path, ports: Mapping[str, int]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return argv and environment of a run that, when it ends, leaves in `data` what speeds up
        later ones; on loopback whatever the reach."""
        ...

    def rehearse(self, ports: Mapping[str, int], bootstrap: Secret) -> None:
        """Do with the server of a `rehearsal` what others will have to do, and take long for."""
        ...

    def settle(self, home: Path, data: Path) -> None:
        """Keep what a rehearsal that has ended left in `data`, which is removed afterwards."""
        ...

    def access(self, ports: Mapping[str, int], identity: Mapping[str, Secret]) -> ServerAccess:
        """Return the ways to the server: the service's own, and the one that everybody uses."""
        ...

    def healthy(self, ports: Mapping[str, int]) -> bool:
        """Ask the management port whether the server is ready. Never raises."""
        ...

    def take_over(
        self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        """Re-key a copied server and make the service's identities with fresh secrets.

        New master keys, old ones deleted; the bootstrap client deleted last. Returns the identity.
        """
        ...


class ProviderPackage(Protocol):
    """What the entry-point group `warminfra.providers` names: one kind of provider."""

    name: str

    def distribution(self, settings: Mapping[str, Any], reach: FindReach = Reach) -> Distribution:
        """Return the server's distribution, configured by the `[<name>]` settings.

        Every server that runs from it, whoever launches it, is reached as `reach` tells.
        """
        ...

    def external(
        self, settings: Mapping[str, Any], installation: InstallationId
    ) -> ServerAccess | None:
        """Return access to a server that is not ours, if the settings name one."""
        ...

    def leave(self, settings: Mapping[str, Any], installation: InstallationId) -> None:
        """Take our identities away from that server; fine if there are none."""
        ...

    def connect(
        self, access: ServerAccess, installation: InstallationId, settings: Mapping[str, Any]
    ) -> Provider:
        """Return the provider that drives the server behind `access`."""
        ...

    def template(
        self,
        recipe: str,
        client: ClientSpec,
        users: Sequence[UserSpec],
        *,
        admin: bool,
        realm: Mapping[str, Any] | None,
        settings: Mapping[str, Any],
    ) -> tuple[Template, Sequence[str]]:
        """Normalise; return the template and a line for each thing that was taken out.

        Raises `RecipeInvalid` with all problems at once.
        """
        ...


class Engine(Protocol):
    """A container engine's image store, and the pins in it. Calls may come from several threads.

    Errors: `Unreachable` (the engine does not answer), `EngineRefused` (it said no), `StorageFull`.
    """

    def facts(self) -> EngineFacts:
        """Return what the engine tells of itself."""
        ...

    def images(self, *, sizes: bool = False) -> Sequence[LocalImage]:
        """Return every image of the store that is no mere layer of another.

        With `sizes` each layer's bytes too, which takes a question more for each image.
        """
        ...

    def pull(
        self,
        repository: str,
        digest: str,
        credentials: Mapping[str, str] | None,
        heard: Callable[[PullEvent], None],
    ) -> None:
        """Pull `repository@digest`, telling each step to `heard`; what that raises ends the pull.

        Afterwards the store holds that very digest. Raises also `RegistryRefused` (a sure no of
        the registry, a content that has another digest) and `Unreachable` (may be tried again).
        """
        ...

    def tag(self, image: str, name: str) -> None:
        """Give the image another name, taking it from whatever had it."""
        ...

    def remove(self, name: str) -> None:
        """Take a name away, with the last one the image. Never by force; fine if it is gone."""
        ...

    def containers(self) -> Sequence[LocalContainer]:
        """Return all containers, in whatever state."""
        ...

    def pin(self, image: str, labels: Mapping[str, str]) -> str:
        """Start a container that does nothing but keep `image` from being pruned; return its id."""
        ...

    def unpin(self, container: str) -> None:
        """Remove such a container; fine if it is gone."""
        ...


class Stacks(Protocol):
    """The stacks of a Swarm. Errors as those of `Engine`."""

    def ready(self) -> None:
        """Return if the engine answers and is a Swarm manager; else raise."""
        ...

    def objects(self, stack: str) -> Sequence[StackObject]:
        """Return all that carries exactly this stack's label, tasks' containers included."""
        ...

    def remove(self, found: StackObject) -> None:
        """Ask for the object's removal, by its id; fine if it is gone."""
        ...

    def make_secret(self, name: str, value: Secret, labels: Mapping[str, str]) -> str:
        """Make a secret and return its id. Raises `Conflict` if the name is taken."""
        ...

    def images(self, stack: str) -> Sequence[RunningImage]:
        """Return what each service of the stack was told to run, and what it runs."""
        ...

    def memory(self, stack: str) -> int:
        """Return the bytes of memory that the stack's containers on this node take now."""
        ...
