"""The waits as percentiles, for people and for machines."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.latency.measuring import EVERY, Waits
from tests.bench.latency.traffic import BATCH, DEALS

HEAD = ("shape", "from a 202 on", "p50", "p99", "most", "samples", "target of p99", "reached")
TARGETS = {"visible": 1.0, "alerted": 2.0}
_SAID = {
    "accepted": "(sent to 202)",
    "visible": "visible in the funnel",
    "alerted": "alert read from the stream",
    "late": "(sent later than planned)",
}
Found = Mapping[str, Mapping[str, Any]]


def figures(waits: Mapping[str, Waits], rate: float, seconds: float) -> dict[str, Any]:
    """Milliseconds, by shape and wait."""
    shapes = {
        shape: {name: _spread(values) for name, values in vars(told).items()}
        for shape, told in waits.items()
    }
    return {"rate": rate, "seconds": seconds, "shapes": shapes}


def setting(found: Mapping[str, Any]) -> str:
    return (
        f"{found['rate']:g} events/s for {found['seconds']:g} s in requests of {BATCH} events about"
        f" {DEALS:,} deals, one of {BATCH * EVERY} overdue when it comes; the client and all"
        " processes share the machine"
    )


def rows(found: Found) -> Iterator[tuple[str, ...]]:
    for shape, waits in found.items():
        for name, said in _SAID.items():
            told, target = waits[name], TARGETS.get(name)
            limit = ("", "") if target is None else _judged(told["p99_ms"], target)
            times = (f"{told[key]:,.0f} ms" for key in ("p50_ms", "p99_ms", "max_ms"))
            yield shape, said, *times, str(told["samples"]), *limit


def _judged(p99: float, target: float) -> tuple[str, str]:
    return f"{target * 1000:,.0f} ms", "yes" if p99 <= target * 1000 else "no"


def _spread(seconds: Sequence[float]) -> Mapping[str, Any]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1),
        "max_ms": round(max(seconds) * 1000, 1), "samples": len(seconds),
    }  # fmt: skip
