"""The figures as a table for people and as JSON for machines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.rounds import COPY, FUNNEL, HAND_BATCHED, PER_EVENT
from tests.bench.run import Result


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


def figures(result: Result) -> dict[str, Any]:
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


def show(result: Result, console: Console) -> None:
    found = figures(result)
    console.print(_setting(found))
    for title, head, rows in (
        ("Speed", HEAD, _rows(found)),
        ("Where the time goes", STEPS, _step_rows(found)),
    ):
        table = Table(*head, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in result.hot:
        console.print(line, markup=False, highlight=False)


def save(result: Result, as_json: Path | None, markdown: Path | None) -> None:
    found = figures(result)
    if as_json is not None:
        as_json.parent.mkdir(parents=True, exist_ok=True)
        as_json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text("\n".join(_markdown(found)) + "\n", "utf-8")


def _markdown(found: dict[str, Any]) -> Iterator[str]:
    yield "# Speed of the funnel\n"
    yield _setting(found) + ".\n"
    for head, rows in ((HEAD, _rows(found)), (STEPS, _step_rows(found))):
        yield f"| {' | '.join(head)} |"
        yield f"| {' | '.join(['---'] + ['---:'] * (len(head) - 1))} |"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""
