"""What a benchmark says: lines with figure, spread and target, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median

from benchmarks.stats import percentile, quartiles, ratio_interval

MET, MISSED = "met", "MISSED"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `low` and `high` are its spread, `spread` says of which kind."""

    what: str
    value: float
    unit: str = "ms"
    low: float | None = None
    high: float | None = None
    spread: str = ""
    n: int = 0
    limit: float | None = None
    at_least: bool = False
    samples: Sequence[float] = ()

    @property
    def verdict(self) -> str:
        """Return `met` or `MISSED`, "" for a figure without a target."""
        if self.limit is None:
            return ""
        kept = self.value >= self.limit if self.at_least else self.value <= self.limit
        return MET if kept else MISSED


def line_p50(what: str, samples: Sequence[float], unit: str = "ms", **target: float | bool) -> Line:
    """Return the median with the quartiles. `target`: `limit`, `at_least`."""
    low, high = quartiles(samples)
    return _line(what, median(samples), unit, (low, high, "quartiles"), samples, target)


def line_p99(what: str, samples: Sequence[float], unit: str = "ms", **target: float | bool) -> Line:
    """Return the 99th percentile with least and greatest value."""
    spread = (min(samples), max(samples), "min–max")
    return _line(what, percentile(samples, 99), unit, spread, samples, target)


def line_ratio(
    what: str, above: Sequence[float], below: Sequence[float], **target: float | bool
) -> Line:
    """Return the ratio of the medians with its 95 % interval."""
    ratio, low, high = ratio_interval(above, below)
    least = above if len(above) <= len(below) else below
    made = _line(what, ratio, "×", (low, high, "95 %"), least, target)
    return replace(made, samples=())


def _line(
    what: str,
    value: float,
    unit: str,
    spread: tuple[float, float, str],
    samples: Sequence[float],
    target: dict[str, float | bool],
) -> Line:
    limit, at_least = target.get("limit"), bool(target.get("at_least", False))
    low, high, kind = spread
    kept = tuple(round(sample, 4) for sample in samples)
    return Line(what, value, unit, low, high, kind, len(samples), limit, at_least, kept)


@dataclass(slots=True)
class Result:
    """What one benchmark found."""

    name: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load_before: float = 0.0
    seconds: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return the plain document, verdicts included."""
        return {
            "name": self.name,
            "load_before": self.load_before,
            "seconds": round(self.seconds, 1),
            "lines": [{**asdict(line), "verdict": line.verdict} for line in self.lines],
            "notes": self.notes,
        }


def table(result: Result) -> str:
    """Return the result as a Markdown table with its notes below."""
    rows = [("measured", "value", "spread", "n", "target", "")]
    for line in result.lines:
        limit = "" if line.limit is None else f"{'≥' if line.at_least else '≤'} {line.limit:g}"
        spread = ""
        if line.low is not None and line.high is not None:
            spread = f"{number(line.low)}–{number(line.high)} ({line.spread})"
        count = str(line.n) if line.n else ""
        value = f"{number(line.value)} {line.unit}"
        rows.append((line.what, value, spread, count, limit, line.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))  # type: ignore[arg-type]
    text = "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )
    return "\n".join([text, "", *(f"- {note}" for note in result.notes)]).rstrip()


def number(value: float) -> str:
    """Return a number with three digits that matter."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
