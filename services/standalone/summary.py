"""What `headway up` tells on the terminal once everything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from services.standalone.demo_rules import OpenAlerts
from services.standalone.layout import Layout

COLUMNS = ("stage", "reached", "of first", "95 % interval", "of previous", "target")


@dataclass(frozen=True, slots=True)
class Summary:
    """Where Headway runs and what its demo says; `funnel` and `alerts` are the answers of REST."""

    url: str
    data_dir: str
    operator_key_file: str
    demo_key_file: str | None
    demo_key: str | None
    kept: bool
    pipeline_id: str | None
    funnel: Mapping[str, Any] | None
    alerts: OpenAlerts | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def running(url: str, layout: Layout) -> Summary:
    """Without a demo."""
    return Summary(url, str(layout.root), str(layout.operator_key), None, None, False, None, None)


def show(console: Console, summary: Summary) -> None:
    console.print(f"\n[bold]Headway[/bold] runs at {summary.url}", highlight=False)
    _line(console, "data", summary.data_dir)
    _line(console, "operator key", f"in {summary.operator_key_file}")
    if summary.funnel is None:
        return
    _line(console, "demo key", f"{summary.demo_key}  (in {summary.demo_key_file})")
    _line(console, "demo data", "kept from an earlier start" if summary.kept else "new")
    console.print()
    _show_funnel(console, summary.funnel, str(summary.pipeline_id))
    if summary.alerts is not None:
        _show_alerts(console, summary.alerts)
    _show_calls(console, summary)


def _line(console: Console, name: str, value: str) -> None:
    console.print(f"  {name:<13} {value}", highlight=False, soft_wrap=True, markup=False)


def _show_funnel(console: Console, answer: Mapping[str, Any], pipeline_id: str) -> None:
    as_of, total = answer["as_of"], answer["total"]
    table = Table(*COLUMNS, title=f"Funnel {pipeline_id} of the tenant demo", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for stage in total["stages"]:
        table.add_row(*_cells(stage))
    console.print(table)
    ends = ", ".join(f"{total[end]} {end}" for end in ("won", "lost", "open"))
    _line(console, "deals", f"{total['n']}: {ends}")
    _line(console, "valid_at", str(as_of["valid_at"]))
    _line(console, "known_at", str(as_of["known_at"]))


def _cells(stage: Mapping[str, Any]) -> Sequence[str]:
    interval = f"{_share(stage['low'])} – {_share(stage['high'])}"
    shares = (_share(stage["from_first"]), interval, _share(stage["from_previous"]))
    return (str(stage["stage_id"]), str(stage["reached"]), *shares, _share(stage["target"]))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"


def _show_alerts(console: Console, alerts: OpenAlerts) -> None:
    """How many are open, and why the newest are."""
    counts = ", ".join(f"{count} {rule}" for rule, count in alerts.by_rule.items())
    title = f"Open alerts: {counts}. The newest:"
    table = Table("since", "severity", "rule", "deal", "reason", title=title, title_justify="left")
    for alert in alerts.newest:
        since = str(alert["started_at"])[:10]
        deal, reason = str(alert["subject"]["id"]), str(alert["summary"] or "")
        table.add_row(since, alert["severity"], alert["rule_id"], deal, reason)
    console.print()
    console.print(table)


def _show_calls(console: Console, summary: Summary) -> None:
    """Calls that work when pasted."""
    paths = (
        "v1/funnel/conversion?pipeline_id=b2b&interval=month",
        "v1/deals?status=open&limit=5",
        "v1/alerts?state=firing&limit=5",
    )
    console.print("\n[bold]Try[/bold]", highlight=False)
    for path in paths:
        call = f"curl -sH 'Authorization: Bearer {summary.demo_key}' '{summary.url}/{path}'"
        console.print(f"  {call}", highlight=False, soft_wrap=True, markup=False)
    for path in ("", "docs", "metrics"):
        console.print(f"  {summary.url}/{path}", highlight=False)
