"""Many at once: a full pool drained by clients in processes of their own; none gets a double."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any

from benchmarks.bench import RECIPE, Bench, Document, mark
from benchmarks.report import Result, line_p50
from warminfra.client.client import Client

CLIENTS = 16
LIMIT = 200.0

_spawning = multiprocessing.get_context("spawn")


def run(bench: Bench) -> Result:
    """Drain the pool a few times; each round begins with it full."""
    pool, rounds = bench.few(16, 100), bench.few(1, 5)
    rates: list[float] = []
    each: list[float] = []
    for number in range(rounds):
        mark(f"burst {number + 1} of {rounds}: {CLIENTS} clients, {pool} leases")
        bench.pool(pool)
        seconds, documents, spent = _drain(bench.runtime_dir(), pool)
        _all_different(documents, pool)
        rates.append(pool / seconds)
        each += spent
        bench.pool(0)  # so that nobody makes tenants for a pool that is about to be measured anew
        bench.release(*documents)
        bench.settle(0)
    return Result(
        "burst",
        [
            line_p50(f"{pool} leases by {CLIENTS} clients", rates, "leases/s", **_at_least(LIMIT)),
            line_p50("one of these leases, client round trip", each),
        ],
        [
            f"all {pool * rounds} leases had ids, realms, clients and secrets of their own",
            "clients are processes with a connection each; from the common start to the last "
            "answer; the worker refills behind the first lease on, on the same processors",
        ],
    )


def _at_least(limit: float) -> dict[str, float | bool]:
    return {"limit": limit, "at_least": True}


def _drain(runtime_dir: Path, pool: int) -> tuple[float, list[Document], list[float]]:
    """Return the seconds it took, the documents, and each lease's milliseconds."""
    barrier = _spawning.Barrier(CLIENTS)
    answers: Any = _spawning.Queue()
    shares = [pool // CLIENTS + (number < pool % CLIENTS) for number in range(CLIENTS)]
    processes = [
        _spawning.Process(target=_client, args=(runtime_dir, share, barrier, answers), daemon=True)
        for share in shares
    ]
    for process in processes:
        process.start()
    documents: list[Document] = []
    spent: list[float] = []
    starts: list[float] = []
    ends: list[float] = []
    for _ in processes:
        try:
            began, done, found = answers.get(timeout=120)
        except Empty:
            raise RuntimeError("a client of the burst died") from None
        starts.append(began)
        ends.append(done)
        documents += [document for document, _ in found]
        spent += [milliseconds for _, milliseconds in found]
    for process in processes:
        process.join()
    return max(ends) - min(starts), documents, spent


def _client(runtime_dir: Path, share: int, barrier: Barrier, answers: Any) -> None:
    with Client(runtime_dir) as client:
        client.ready()  # the connection is there before the start
        barrier.wait(60)
        began = time.monotonic()
        found = []
        for _ in range(share):
            asked = time.monotonic()
            document = client.acquire(RECIPE)
            found.append((document, (time.monotonic() - asked) * 1000))
        answers.put((began, time.monotonic(), found))


def _all_different(documents: list[Document], count: int) -> None:
    """Raise unless no two leases share anything that is a lease's own."""
    own = {
        "id": [document["id"] for document in documents],
        "realm": [document["issuer"] for document in documents],
        "client": [document["client"]["id"] for document in documents],
        "secret": [document["client"]["secret"] for document in documents],
        "password": [document["users"][0]["password"] for document in documents],
    }
    for name, found in own.items():
        if len(set(found)) != count:
            raise AssertionError(f"double lease: {count} leases, {len(set(found))} of {name}")
