"""The waits as percentiles, for people and for machines."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.latency.measuring import EVERY, WARM_SECONDS
from tests.bench.latency.shapes import Measured
from tests.bench.latency.traffic import BATCH, DEALS

HEAD = ("shape", "wait", "p50", "p99", "most", "samples", "target of p99", "reached")
CPU_HEAD = ("shape", "process", "CPU", "of one processor")
TARGETS = {"visible": 1.0, "alerted": 2.0, "visible_from_sending": 1.0, "alerted_from_sending": 2.0}
_SAID = {
    "accepted": "sent to 202",
    "visible": "202 to visible in the funnel",
    "visible_from_sending": "sent to visible in the funnel",
    "alerted": "202 to alert read from the stream",
    "alerted_from_sending": "sent to alert read from the stream",
    "late": "(sent later than planned)",
}
Found = Mapping[str, Mapping[str, Any]]


def figures(measured: Mapping[str, Measured], rate: float, seconds: float) -> dict[str, Any]:
    """Milliseconds by shape and wait, seconds of a processor by shape and process."""
    shapes = {
        shape: {name: _spread(values) for name, values in vars(told.waits).items()}
        for shape, told in measured.items()
    }
    cpu = {shape: {p: round(s, 2) for p, s in of.cpu.items()} for shape, of in measured.items()}
    return {"rate": rate, "seconds": seconds, "shapes": shapes, "cpu_seconds": cpu}


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


def cpu_rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The load is measured with its warm-up: whoever is slow at first takes processors too."""
    load = WARM_SECONDS + found["seconds"]
    for shape, processes in found["cpu_seconds"].items():
        for name, seconds in (*processes.items(), ("all", sum(processes.values()))):
            yield shape, name, f"{seconds:.1f} s", f"{seconds / load:.0%}"


def _judged(p99: float, target: float) -> tuple[str, str]:
    return f"{target * 1000:,.0f} ms", "yes" if p99 <= target * 1000 else "no"


def _spread(seconds: Sequence[float]) -> Mapping[str, Any]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1),
        "max_ms": round(max(seconds) * 1000, 1), "samples": len(seconds),
    }  # fmt: skip
