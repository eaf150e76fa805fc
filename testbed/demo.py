"""`make demo`: the main job, seen from outside, and what it saved.

A service is started and a lease taken: nothing is proven yet, so it is a dedicated server. An audit
(profile smoke) opens the gate, and the same command leases a tenant of the shared one. Each time a
real relying party logs in and out, and the tenant is given back and looked for. Beside both, in the
same run: a Keycloak as each run starts it today, cold, with the same realm and the same login.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from testbed.browser import login, logout
from testbed.cold import cold_keycloak
from testbed.installation import LASUITE_DOCS, Installation, wait_until
from testbed.relying_party import free_port, running

CONFIG = 'min_profile = "smoke"\nrequire = "audit"\n[instances]\nspares = 0\n'
AUDIT_PATIENCE = 900.0
"""Seconds for a smoke audit: about one minute on two quiet cores."""

FIRST = "an identity server to log in at"
"""The first step, and what leasing is about."""

console = Console(highlight=False)


def main() -> None:
    """Run the demo; any failure is an exception and a non-zero exit."""
    with Installation.temporary(policy="proven", config=CONFIG) as installation:
        with step("starting the service and its Keycloak"):
            installation.up()
        with step("enrolling lasuite-docs (a stand-in for the docs app)"):
            installation.enroll()
        dedicated, _ = leased_run(installation, "dedicated")
        audit(installation)
        with step("the gate is open: filling the pool"):
            installation.wait_ready(2)
        shared, lease_ms = leased_run(installation, "shared")
        console.print()
        installation_status = installation.json("status")
        for warning in installation_status["warnings"]:
            console.print(f"[yellow]note:[/] {warning}")
    cold = cold_run(Path(installation.env["XDG_CACHE_HOME"]) / "warminfra")
    report({"shared lease": shared, "dedicated lease": dedicated, "cold Keycloak": cold}, lease_ms)


def audit(installation: Installation) -> None:
    """Prove isolation before anything is shared; without an approve the demo ends here."""
    evidence = installation.folder / "evidence"
    with step("warminfra audit --profile smoke: may runs share this server?"):
        done = installation.run(
            *("audit", "--recipe", LASUITE_DOCS.name, "--report", str(evidence)),
            check=False,
            timeout=AUDIT_PATIENCE,
        )
    if done.returncode:
        console.print(done.stderr)
        raise SystemExit(done.returncode)
    verdict = json.loads((evidence / "verdict.json").read_text())
    cells, mutants = verdict["cells"], (evidence / "report.md").read_text().count("\n| M")
    console.print(
        f"  {verdict['outcome']}: {cells['tried']} of {cells['known']} cells tried, "
        f"{mutants} planted faults seen, {verdict['programs']} programs, covered "
        f"{', '.join(verdict['covered'])}; not covered {', '.join(verdict['not_covered'])}"
    )
    console.print(
        "  [yellow]for this demo alone[/] min_profile is smoke and require is audit: by default "
        "it takes a standard audit and a reviewer's approval"
    )


def leased_run(installation: Installation, mode: str) -> tuple[dict[str, float], float]:
    """Lease, log in, log out, release, look; return the seconds of each step, and the milliseconds
    that the lease took in the service. Anything but `mode` ends the demo."""
    seconds: dict[str, float] = {}
    port = free_port()
    with timed(seconds, FIRST), step("warminfra lease --recipe lasuite-docs"):
        document = installation.json(
            "lease", "--recipe", "lasuite-docs", "--domain", f"127.0.0.1:{port}", "--reveal"
        )
    console.print(
        f"  {document['mode']} lease of tenant {document['tenant']}: {document['mode_reason']}"
    )
    if document["mode"] != mode:
        raise SystemExit(1)
    log_in_and_out(seconds, document["env"], document["users"][0]["password"], port)
    with timed(seconds, "given back, looked for, gone"), step("warminfra release --wait"):
        installation.run(
            "release",
            "--wait",
            document["id"],
            env={"WARMINFRA_LEASE_HANDLE": document["handle"]},
        )
    lies = wait_for_truth(installation)
    console.print("  ledger, server and master agree" if not lies else "\n".join(lies))
    if lies:
        raise SystemExit(1)
    return seconds, float(document["timing"]["total_ms"])


def wait_for_truth(installation: Installation) -> list[str]:
    """Return what still differs once nothing is being made or taken down."""

    def quiet() -> bool:
        tenants = installation.tenants()
        return tenants["creating"] == tenants["retiring"] == 0

    wait_until(quiet, 30.0, "an idle installation")
    return installation.lies()


def cold_run(cache: Path) -> dict[str, float]:
    """Do the same with a Keycloak of its own; return the seconds of each step."""
    seconds: dict[str, float] = {}
    port = free_port()
    with step("a cold Keycloak for one run, for comparison"), cold_keycloak(cache) as server:
        env, password, realm_s = server.realm(f"127.0.0.1:{port}")
        seconds[FIRST] = server.ready_s + realm_s
        log_in_and_out(seconds, env, password, port)
        ended = time.monotonic()
    seconds["given back, looked for, gone"] = time.monotonic() - ended
    return seconds


def log_in_and_out(
    seconds: dict[str, float], env: dict[str, str], password: str, port: int
) -> None:
    """Start the relying party with the lease's environment; log alice in and out."""
    with timed(seconds, "the app started"):
        app_context = running({**os.environ, **env}, port=port)
        app = app_context.__enter__()
    try:
        with timed(seconds, "first login"), step(f"alice logs in at {app.url}"):
            session = login(app.url, "alice", password)
        console.print(f"  the app says: {session.name} <{session.email}>")
        with session, timed(seconds, "logout, password asked again"), step("alice logs out"):
            logout(session)
    finally:
        app_context.__exit__(None, None, None)


def report(runs: dict[str, dict[str, float]], lease_ms: float) -> None:
    """Print the table; the last run is what the others are compared with."""
    table = Table(title="One run's login, three ways, all measured just now")
    table.add_column("step")
    for name in runs:
        table.add_column(name, justify="right")
    shared, *_, cold = runs.values()
    for name in cold:
        table.add_row(name, *(f"{run[name]:.2f} s" for run in runs.values()))
    table.add_section()
    table.add_row("all of it", *(f"{sum(run.values()):.2f} s" for run in runs.values()))
    console.print()
    console.print(table)
    console.print(
        f"saved {sum(cold.values()) - sum(shared.values()):.1f} s; the lease itself: "
        f"{shared[FIRST] * 1000:.0f} ms as a command, {lease_ms:.0f} ms in the service, against "
        f"{cold[FIRST]:.1f} s"
    )


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    console.print(f"[bold]→[/] {text}")
    started = time.monotonic()
    yield
    console.print(f"  [dim]{time.monotonic() - started:.2f} s[/]")


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time of a block to `seconds`."""
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


if __name__ == "__main__":
    main()
