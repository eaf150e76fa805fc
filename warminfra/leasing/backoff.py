"""How long to wait before something that failed is tried again."""

from __future__ import annotations

_DOUBLINGS = 60
"""More change nothing: by then every limit is reached. Unbounded, the power overflows a float."""


def backoff(failures: int, limit: float, base: float = 1.0) -> float:
    """Return the seconds to wait: `base`, doubled for each failure before, up to `limit`."""
    return min(base * 2.0 ** min(failures, _DOUBLINGS), limit)
