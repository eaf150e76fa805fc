"""The statistics of the benchmarks: pure functions, the same numbers give the same answer.

Invariant: nothing is dropped. Medians, quartiles and intervals are of all values that were taken.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

_RESAMPLES = 2000
_SEED = 1


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` per cent do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no {percent:g}th percentile of {len(values)} values")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and third quartile; of a single value that value twice."""
    return percentile(values, 25), percentile(values, 75)


def ratio_interval(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio of the medians and its 95 % interval, by bootstrap with a fixed seed."""
    draw = random.Random(_SEED)
    ratio = statistics.median(above) / statistics.median(below)
    again = [
        statistics.median(draw.choices(above, k=len(above)))
        / statistics.median(draw.choices(below, k=len(below)))
        for _ in range(_RESAMPLES)
    ]
    return ratio, percentile(again, 2.5), percentile(again, 97.5)


def slope(values: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through points (x, y)."""
    return statistics.linear_regression(*zip(*values, strict=True)).slope


def outstanding(load: float, longest: int = 1000) -> list[float]:
    """Return P(n in the system), n = 0, 1, …, of the M/D/1 queue with utilisation `load` < 1.

    From the chain embedded at departures (Pollaczek); ends where the rest is below 1e-9.
    """
    if not 0 < load < 1:
        raise ValueError(f"a queue with load {load:g} has no steady state")
    arrivals = [math.exp(-load)]
    found = [1 - load]
    while sum(found) < 1 - 1e-9 and len(found) < longest:
        n = len(found) - 1
        arrivals.append(arrivals[-1] * load / len(arrivals))
        inflow = found[0] * arrivals[n] + sum(
            found[k] * arrivals[n - k + 1] for k in range(1, n + 1)
        )
        found.append(max((found[n] - inflow) / arrivals[0], 0.0))
    return found


def pool_size(rate: float, service: float, risk: float = 0.01) -> int:
    """Return the least pool that a lease finds empty with at most `risk`.

    Leases come at random, `rate` a second; each costs the server `service` seconds, one by one.
    """
    share = 0.0
    for count, chance in enumerate(outstanding(rate * service)):
        share += chance
        if share >= 1 - risk:
            return count + 1
    raise ValueError(f"no pool serves {rate:g} leases a second at {service:g} s each")
