"""`headway simulate`: write the simulated team's history to a file, without a running Headway."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from libs.common.clock import SystemClock
from libs.common.terminal import console, show_json
from services.standalone.cli.output import AsJson
from services.standalone.simulator import Plan, history, lines


def simulate(
    out: Annotated[Path, typer.Option(help="The file to write, NDJSON.")],
    seed: Annotated[int, typer.Option()] = 7,
    months: Annotated[float, typer.Option(min=0.1, max=60)] = 18,
    pace: Annotated[float, typer.Option(min=0.01, max=20, help="1: a team of twelve.")] = 1,
    now: Annotated[str | None, typer.Option(help="RFC 3339; the last instant.")] = None,
    as_json: AsJson = False,
) -> None:
    """The same seed and the same `--now` give the same bytes."""
    plan = Plan(_instant(now), seed, months, pace)
    events = history(plan)
    with out.open("wb") as file:
        file.writelines(lines(events))
    facts = {"file": str(out), "events": len(events), "now": plan.now.isoformat(), "seed": seed}
    show_json(facts) if as_json else console.print(f"{len(events)} events in {out}")


def _instant(text: str | None) -> datetime:
    if text is None:
        return SystemClock().now().replace(microsecond=0)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("not an RFC 3339 time", param_hint="--now") from None
    if instant.tzinfo is None:
        raise typer.BadParameter("needs an offset, such as Z", param_hint="--now")
    return instant.astimezone(UTC)
