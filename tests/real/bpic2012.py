"""BPI Challenge 2012 as events: one row of the log is one event, nothing added, nothing left out.

| row | event |
| --- | --- |
| `A_SUBMITTED`, the first of every case | `deal.created` with the amount, owned by its resource |
| any other `A_` | `deal.stage_changed`; the three won ones follow each other in any order |
| `W_` SCHEDULE, COMPLETE | `activity.scheduled`, `activity.completed` |
| `W_` START by a resource | `deal.updated`: who takes up the work item owns the deal from then on |
| `W_` START by nobody | `activity.logged` |
| `O_` | `activity.logged` of the kind `quote` |

`sequence` is the row's number in its case, which tells rows of one millisecond apart.

The log: B.F. van Dongen, BPI Challenge 2012, 4TU.ResearchData,
doi 10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = "eventlogs/bpic2012.csv.gz"
ZONE, CURRENCY, PIPELINE_ID = "Europe/Amsterdam", "EUR", "loans"
OPEN = ("A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED")
WON = ("A_APPROVED", "A_REGISTERED", "A_ACTIVATED")
LOST = ("A_DECLINED", "A_CANCELLED")
PIPELINE = {
    "name": "Loans",
    "stages": [
        {"id": stage, "class": kind}
        for kind, stages in (("open", OPEN), ("won", WON), ("lost", LOST))
        for stage in stages
    ],
}
_WORK = {"SCHEDULE": "activity.scheduled", "COMPLETE": "activity.completed"}
Row = Mapping[str, str]
Event = dict[str, Any]


def rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def events(log: Iterable[Row]) -> Iterator[Event]:
    """One CloudEvent a row, in the order of the log."""
    for row in log:
        type_, data = _said(row)
        yield {
            "specversion": "1.0",
            "id": f"{row['case_id']}-{row['event_no']}",
            "source": "/eventlogs/bpic2012",
            "type": type_,
            "time": row["timestamp"],
            "sequence": row["event_no"],
            "data": {"deal_id": row["case_id"], **data},
        }


def _said(row: Row) -> tuple[str, Event]:
    activity, resource = row["activity"], row["resource"]
    if activity == OPEN[0]:
        return "deal.created", _application(row)
    if activity.startswith("A_"):
        return "deal.stage_changed", {"stage_id": activity, **_actor(resource)}
    if activity.startswith("O_"):
        return "activity.logged", _activity(row, f"{activity}-{row['event_no']}", "quote")
    if row["lifecycle"] == "START" and resource:
        return "deal.updated", {"changes": {"owner_id": resource}, **_actor(resource)}
    kind = "call" if activity.startswith("W_Nabellen") else "task"
    return _WORK.get(row["lifecycle"], "activity.logged"), _activity(row, activity, kind)


def _application(row: Row) -> Event:
    owner = {"owner_id": row["resource"]} if row["resource"] else {}
    return {
        "pipeline_id": PIPELINE_ID,
        "stage_id": OPEN[0],
        "amount": row["amount_req"],
        "currency": CURRENCY,
        **owner,
    }


def _activity(row: Row, name: str, kind: str) -> Event:
    return {"activity_id": f"{row['case_id']}-{name}", "kind": kind, **_actor(row["resource"])}


def _actor(resource: str) -> Event:
    return {"actor_id": resource} if resource else {}
