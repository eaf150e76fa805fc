"""Prometheus metrics, read from the ledger at each scrape; every known state has a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from warminfra.core.states import InstanceKind, InstanceState
from warminfra.service.composition import Parts
from warminfra.service.views import quarantined, quarantined_stacks

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The registry of one service."""

    def __init__(self, parts: Parts) -> None:
        self.registry = CollectorRegistry()
        self.granted = Histogram(
            "warminfra_lease_grant_seconds",
            "Time from a request that could be served to its lease",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_LedgerCollector(parts))


class _LedgerCollector(Collector):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ledger = self._parts.ledger
        tenants = GaugeMetricFamily("warminfra_tenants", "Tenants by state", labels=["state"])
        for tenant_state, count in ledger.tenants.counts().items():
            tenants.add_metric([tenant_state], count)
        yield tenants
        leases = GaugeMetricFamily("warminfra_leases", "Leases by state", labels=["state"])
        for lease_state, count in ledger.leases.counts().items():
            leases.add_metric([lease_state], count)
        yield leases
        stacks = GaugeMetricFamily("warminfra_stacks", "Owned stacks by state", labels=["state"])
        for stack_state, count in ledger.stacks.counts().items():
            stacks.add_metric([stack_state], count)
        yield stacks
        instances = GaugeMetricFamily(
            "warminfra_instances", "Instances by kind and state", labels=["kind", "state"]
        )
        waiting = GaugeMetricFamily(
            "warminfra_waiting_requests",
            "Requests that wait for a lease, by the kind of instance that will serve them",
            labels=["kind"],
        )
        there = Counter((row.kind, row.state) for row in ledger.instances.current())
        for kind in InstanceKind:
            for state in InstanceState:
                instances.add_metric([kind, state], there[kind, state])
            waiting.add_metric([kind], self._parts.manager.demand.waiting(kind))
        yield instances
        yield waiting
        held = GaugeMetricFamily("warminfra_held_leases", "Leases that are kept for a look")
        held.add_metric([], len(self._parts.manager.holds.held()))
        yield held
        quarantine = GaugeMetricFamily(
            "warminfra_quarantined_tenants", "Tenants whose teardown has failed six times or more"
        )
        quarantine.add_metric([], len(quarantined(self._parts)))
        yield quarantine
        stacks = GaugeMetricFamily(
            "warminfra_quarantined_stacks", "Stacks whose removal has failed six times or more"
        )
        stacks.add_metric([], len(quarantined_stacks(self._parts)))
        yield stacks
