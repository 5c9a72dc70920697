"""Ingest's speed as ratios, for people and for machines."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench.ingest.requests import BATCH
from tests.bench.ingest.rounds import CONNECTIONS, SIZES, Measured
from tests.bench.ingest.servers import BARE, ECHO, KAFKA, POSTGRES, STANDALONE

HEAD = (
    "server", "events a request", "events/s: median", "min to max", "of the bare route", "target",
    "reached", "server's CPU per event", "p50", "p99", "client's CPU",
    "asked to come again",
)  # fmt: skip
TARGETS = {1: 0.6, BATCH: 0.3}
"""What part of the bare route's rate, by events a request."""
SPEED_UP = 8.0
"""Events per second in batches against single ones."""
WHAT = {
    ECHO: "nothing but an answer: the client's own limit",
    BARE: "bare FastAPI route, same typed envelope",
    POSTGRES: "ingest by itself, PostgreSQL's log",
    STANDALONE: "one process (make run), PostgreSQL's log, folding meanwhile",
    KAFKA: "ingest by itself, Kafka",
}
Found = Mapping[str, Any]


def figures(measured: Measured, seconds: float) -> dict[str, Any]:
    """Everything measured, rounded for reading."""
    names = [name for name in WHAT if measured.outcomes.get((name, 1))]
    return {
        "seconds": seconds,
        "rounds": len(measured.outcomes[BARE, 1]),
        "connections": CONNECTIONS,
        "accepted": dict(measured.accepted),
        "in_the_log": dict(measured.kept),
        "faults": measured.faults,
        "servers": {
            name: {str(size): _one(measured, name, size) for size in SIZES} for name in names
        },
        "batches_to_single": {
            name: _judged(_batches_to_single(measured, name), SPEED_UP)
            for name in names
            if name not in (ECHO, BARE)
        },
    }


def _one(measured: Measured, name: str, size: int) -> dict[str, Any]:
    told = measured.outcomes[name, size]
    found: dict[str, Any] = {
        "events_per_second": _spread(measured.rates(name, size), 1),
        "cpu_us_per_event": round(median(measured.cpu[name, size]) * 1e6, 1),
        "p50_ms": median(one.p50_ms for one in told),
        "p99_ms": median(one.p99_ms for one in told),
        "client_busy": round(median(one.busy for one in told), 3),
        "asked_to_come_again": sum(one.again for one in told),
    }
    if name in (ECHO, BARE):
        return found
    return found | {"of_bare": _judged(_of_bare(measured, name, size), TARGETS[size])}


def _of_bare(measured: Measured, name: str, size: int) -> list[float]:
    """Round by round."""
    rates, bare = measured.rates(name, size), measured.rates(BARE, size)
    return [a / b for a, b in zip(rates, bare, strict=True)]


def _batches_to_single(measured: Measured, name: str) -> list[float]:
    rates, single = measured.rates(name, BATCH), measured.rates(name, 1)
    return [a / max(b, 1) for a, b in zip(rates, single, strict=True)]


def _judged(ratios: Sequence[float], target: float) -> dict[str, Any]:
    return {**_spread(ratios, 3), "target": target, "reached": median(ratios) >= target}


def _spread(values: Sequence[float], digits: int) -> dict[str, float]:
    found = {"min": min(values), "median": median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def setting(found: Found) -> str:
    accepted = found["accepted"]
    kept = ", ".join(f"{n:,} of {accepted[name]:,}" for name, n in found["in_the_log"].items())
    return (
        f"Ingest: {found['connections']} connections, {found['rounds']} rounds of"
        f" {found['seconds']:g} s for each row; client, servers, database and broker share the"
        f" machine. Accepted events that are in the logs: {kept}"
    )


def rows(found: Found) -> Iterator[tuple[str, ...]]:
    for name, sizes in found["servers"].items():
        for size, one in sizes.items():
            yield WHAT[name], size, *_speed(one), *_ratio(one.get("of_bare")), *_cost(one)
    for name, judged in found["batches_to_single"].items():
        said = f"{WHAT[name]}: batches against single"
        yield said, "", "", "", *_ratio(judged), "", "", "", "", ""


def _speed(one: Found) -> tuple[str, str]:
    rate = one["events_per_second"]
    return f"{rate['median']:,.0f}", f"{rate['min']:,.0f} to {rate['max']:,.0f}"


def _ratio(judged: Found | None) -> tuple[str, str, str]:
    if judged is None:
        return "", "", ""
    spread = f"{judged['median']:.2f} ({judged['min']:.2f} to {judged['max']:.2f})"
    return spread, f">= {judged['target']:g}", "yes" if judged["reached"] else "no"


def _cost(one: Found) -> tuple[str, ...]:
    cpu, waits = f"{one['cpu_us_per_event']:,.0f} us", (one["p50_ms"], one["p99_ms"])
    told = (f"{one['client_busy']:.0%}", f"{one['asked_to_come_again']:,}")
    return (cpu, *(f"{wait:,.0f} ms" for wait in waits), *told)
