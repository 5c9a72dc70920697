"""The figures as a table for people and as JSON for machines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.ingest import table as ingest
from tests.bench.latency import table
from tests.bench.rounds import COPY, FUNNEL, HAND_BATCHED, PER_EVENT
from tests.bench.run import Result

Figures = dict[str, Any]
Titled = tuple[str, Sequence[str], Iterator[tuple[str, ...]]]


@dataclass(frozen=True)
class Target:
    """The ratio that the funnel has to reach against a baseline."""

    name: str
    what: str
    ratio: float


TARGETS = (
    Target(PER_EVENT, "per-event handler: aiokafka, one SQLAlchemy transaction per event", 30),
    Target(HAND_BATCHED, "hand-batched consumer: 2,000 a batch, plain rows", 0.7),
    Target(COPY, "COPY of the same events into one table like funnel.events", 0.1),
)


def figures(result: Result) -> Figures:
    """Everything measured, rounded for reading."""
    return {
        "events": result.events, "deals": result.deals, "few_events": result.few,
        "rounds": result.rounds, "log": result.log, "machine": result.machine,
        "median_batch": median(result.measured.batches),
        "funnel": _spread(result.measured.rates[FUNNEL]),
        "baselines": {target.name: _against(result, target) for target in TARGETS},
        "profile": _profile(result),
    }  # fmt: skip


def _spread(values: list[float], digits: int = 1) -> dict[str, float]:
    found = {"min": min(values), "median": median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def _against(result: Result, target: Target) -> dict[str, Any]:
    ratios = result.measured.ratios(target.name)
    return {
        "what": target.what,
        "events_per_second": _spread(result.measured.rates[target.name]),
        "ratio": _spread(ratios, 3),
        "target": target.ratio,
        "reached": median(ratios) >= target.ratio,
    }


def _profile(result: Result) -> dict[str, Any]:
    profile = result.profile
    return {
        "events_per_second": round(profile.events / profile.seconds, 1),
        "batches": profile.batches,
        "steps": {
            name: {
                "share": round(step.seconds / profile.seconds, 4),
                "us_per_event": round(step.seconds / profile.events * 1e6, 1),
                "own_cpu": round(step.cpu / step.seconds, 2) if step.cpu else None,
            }
            for name, step in profile.steps.items()
        },
    }


HEAD = ("contestant", "events/s: median", "min to max", "funnel's ratio", "target", "reached")
STEPS = ("step of the funnel", "share", "us per event", "of it our CPU")


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "Headway funnel: two times, history, outbox, fence", *_rates(found["funnel"]), "", "", ""
    for row in found["baselines"].values():
        ratio, rates = row["ratio"], _rates(row["events_per_second"])
        spread = f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
        yield row["what"], *rates, spread, f">= {row['target']}", "yes" if row["reached"] else "no"


def _rates(rate: dict[str, float]) -> tuple[str, str]:
    return f"{rate['median']:,.0f}", f"{rate['min']:,.0f} to {rate['max']:,.0f}"


def _step_rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, step in found["profile"]["steps"].items():
        cpu = "" if step["own_cpu"] is None else f"{step['own_cpu']:.0%}"
        yield name, f"{step['share']:.1%}", f"{step['us_per_event']:.1f}", cpu


def _setting(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"{found['events']:,} events of {found['deals']:,} deals ({found['few_events']:,} for the"
        f" per-event handler), {found['rounds']} rounds, log: {found['log']}, PostgreSQL"
        f" {machine['postgresql']} with fsync {machine['fsync']}, Python {machine['python']},"
        f" {machine['cpus']} CPUs, median batch {found['median_batch']:,.0f} records"
    )


def show(found: Figures, console: Console) -> None:
    for said, tables in _parts(found):
        console.print(said)
        for title, head, rows in tables:
            shown = Table(*head, title=title)
            for row in rows:
                shown.add_row(*row)
            console.print(shown)


def save(found: Figures, as_json: Path | None, markdown: Path | None) -> None:
    if as_json is not None:
        as_json.parent.mkdir(parents=True, exist_ok=True)
        as_json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text("\n".join(_markdown(found)) + "\n", "utf-8")


def _parts(found: Figures) -> Iterator[tuple[str, Sequence[Titled]]]:
    """What was measured: how, and its tables."""
    if "funnel" in found:
        steps = ("Where the time goes", STEPS, _step_rows(found))
        yield _setting(found), [("Speed", HEAD, _rows(found)), steps]
    if "latency" in found:
        waits = table.rows(found["latency"]["shapes"])
        cpu = ("Who takes the processors", table.CPU_HEAD, table.cpu_rows(found["latency"]))
        yield table.setting(found["latency"]), [("Waiting", table.HEAD, waits), cpu]
    if "ingest" in found:
        told = found["ingest"]
        yield ingest.setting(told), [("Ingest", ingest.HEAD, ingest.rows(told))]


def _markdown(found: Figures) -> Iterator[str]:
    yield "# Speed\n"
    for said, tables in _parts(found):
        yield said + ".\n"
        for _, head, rows in tables:
            yield f"| {' | '.join(head)} |"
            yield f"| {' | '.join(['---'] + ['---:'] * (len(head) - 1))} |"
            yield from (f"| {' | '.join(row)} |" for row in rows)
            yield ""
