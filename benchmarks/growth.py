"""What each live realm adds to the cost of the next: as the service works, and as master's admin.

One server, on which the service is a guest (`keycloak.url`), so that both meet the same realms: the
service's maker made all of them. At each size create and delete are measured in turn, by the
product's provider with the service's identities, and plainly by the admin.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from keycloak.urls_patterns import URL_ADMIN_REALM, URL_ADMIN_REALMS

from benchmarks import bench as shared
from benchmarks.bench import CAPS, MEASURER, RECIPE, Bench, Document, mark
from benchmarks.report import Line, Result, line_p50, line_ratio
from testbed.admin_server import admin_of, admin_server, guest_config, maker_access
from warminfra.core.ids import InstallationId
from warminfra.core.template import Template
from warminfra.testing.conformance import plan_for
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.keys import make_key
from warminfra_keycloak.provider import KeycloakProvider
from warminfra_keycloak.realm import FAST_POLICY, realm_body

CREATE_LIMIT, DELETE_LIMIT, LEASE_LIMIT = 1.3, 2.0, 1.1
ADMIN_TIMEOUT = 60.0
KINDS = ("create", "delete", "admin create", "admin delete", "lease", "lease with --domain")


@dataclass(slots=True)
class Size:
    """Milliseconds at one number of live realms."""

    realms: int
    spent: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def run(quick: bool, cache: Path) -> Result:
    """Measure at few and at many realms on one server."""
    few, many = (3, 12) if quick else (10, 300)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wi-admin-")))
        mark("a server with an admin, and the service as a guest on it")
        access = stack.enter_context(admin_server(folder, cache))
        config = CAPS + guest_config(access, folder)
        bench = stack.enter_context(Bench.started(quick=quick, config=config))
        admin = stack.enter_context(closing(admin_of(access)))
        told = json.loads((bench.installation.state_dir / "installation.json").read_text())
        identities = maker_access(admin, access, InstallationId(told["id"]))
        provider = stack.enter_context(closing(shared.provider(identities)))
        sizes = []
        for realms in (few, many):
            mark(f"making {realms} realms")
            bench.pool(realms)
            sizes.append(_measure(bench, provider, admin, realms))
    return Result("growth", _lines(*sizes), _notes(few, many))


def _measure(bench: Bench, provider: KeycloakProvider, admin: AdminConnection, realms: int) -> Size:
    template = bench.template()
    size = Size(realms)
    count = bench.few(3, 20)
    admin_count = bench.few(2, 8)
    mark(f"creates and deletes at {realms} realms")
    for number in range(-bench.few(2, 5), count):
        spent: dict[str, float] = _as_maker(provider, template)
        if number < 0 or number % max(count // admin_count, 1) == 0:
            spent |= _as_admin(admin, template)
        if number >= 0:
            for kind, milliseconds in spent.items():
                size.spent[kind].append(milliseconds)
    mark(f"leases at {realms} realms")
    for number in range(bench.few(3, 25)):
        for domain in ("", f"run-{number}.example.test"):
            document: Document = bench.client.acquire(RECIPE, domain=domain)
            kind = "lease with --domain" if domain else "lease"
            size.spent[kind].append(document["timing"]["total_ms"])
            bench.release(document)
            bench.settle(realms)
    return size


def _as_maker(provider: KeycloakProvider, template: Template) -> dict[str, float]:
    plan = plan_for(template, MEASURER)
    started = time.perf_counter()
    provider.create_tenant(plan)
    made = time.perf_counter()
    provider.destroy_tenant(plan.ref)
    left = provider.verify_gone(plan.ref)
    gone = time.perf_counter()
    assert not left, left
    return {"create": (made - started) * 1000, "delete": (gone - made) * 1000}


def _as_admin(admin: AdminConnection, template: Template) -> dict[str, float]:
    plan = plan_for(template, MEASURER)
    body = realm_body(plan, make_key(), FAST_POLICY)
    path = URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name})
    admin.token()
    started = time.perf_counter()
    admin.send("POST", URL_ADMIN_REALMS, json=body, timeout=ADMIN_TIMEOUT)
    made = time.perf_counter()
    admin.send("DELETE", path, timeout=ADMIN_TIMEOUT)
    gone = time.perf_counter()
    return {"admin create": (made - started) * 1000, "admin delete": (gone - made) * 1000}


def _lines(few: Size, many: Size) -> list[Line]:
    limits = {"create": CREATE_LIMIT, "delete": DELETE_LIMIT, "lease": LEASE_LIMIT}
    lines = []
    for kind in KINDS:
        at_few, at_many = few.spent[kind], many.spent[kind]
        target = {"limit": limits[kind]} if kind in limits else {}
        lines += [
            line_p50(f"{kind} at {few.realms} realms", at_few),
            line_p50(f"{kind} at {many.realms} realms", at_many),
            line_ratio(f"{kind}, {many.realms} ÷ {few.realms}", at_many, at_few, **target),
        ]
    return lines


def _notes(few: int, many: int) -> list[str]:
    return [
        "create: the product's call, until its maker can read the realm; delete: shut, delete and "
        "look for what is left; both on an idle server",
        "admin: plain POST of the same body and plain DELETE by a service account with master's "
        f"role `admin`, in turn with the others, at the same {few} and {many} realms",
        "lease: in the service, pool full, server idle",
    ]
