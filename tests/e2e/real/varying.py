"""The loan log, or a part of it, for delivery in other ways: whatever the way, the same numbers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from tests.e2e.real import comparing, comparing_metrics
from tests.e2e.real.comparing_metrics import Expected
from tests.e2e.real.grid import LOANS as GRID
from tests.e2e.real.site import Tenant
from tests.real import bpic2012, oracle_bpic
from tests.real.oracle import Past, Question
from tests.real.oracle_metrics import Asked

LOANS = bpic2012.PIPELINE_ID
MIDDLE, END = datetime(2011, 12, 15, 12, tzinfo=UTC), datetime(2012, 4, 1, tzinfo=UTC)
QUESTIONS = (
    Question(END),
    Question(END, monthly=True),
    Question(MIDDLE, group_by=("owner_id",), credit="current"),
    Question(END, known_at=MIDDLE),
    Question(END, window=timedelta(days=7)),
)


@dataclass
class Deliverable:
    """Events in the order of their source, and ways of delivering them that must not matter."""

    events: Sequence[dict[str, Any]]

    def twice(self) -> list[dict[str, Any]]:
        return list(chain.from_iterable((event, event) for event in self.events))

    def shuffled(self, seed: int) -> list[dict[str, Any]]:
        return _mixed(self.events, seed)

    def twice_and_shuffled(self, seed: int) -> list[dict[str, Any]]:
        return _mixed(self.twice(), seed)


def _mixed(events: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    mixed = list(events)
    random.Random(seed).shuffle(mixed)
    return mixed


@dataclass
class Part(Deliverable):
    """Some cases of the log, or all: what the oracle reads of it, and what the metrics are asked.

    All of the log is asked all of the grid, a part its diagonal.
    """

    past: Past
    done: dict[str, int]
    expected: Expected
    cells: Sequence[Asked]

    @classmethod
    def read(cls, path: Path, every: int = 1) -> "Part":
        rows = list(bpic2012.rows(path))
        cases = set(sorted({row["case_id"] for row in rows})[::every])
        table = oracle_bpic.log(path, cases)
        events = list(bpic2012.events(row for row in rows if row["case_id"] in cases))
        assert len(events) == len(table)
        past, cells = oracle_bpic.past(table), GRID.cells() if every == 1 else GRID.diagonal()
        return cls(events, past, oracle_bpic.activities(table), Expected(past), cells)

    def define(self, tenant: Tenant) -> None:
        tenant.define(LOANS, bpic2012.PIPELINE)

    def faults(self, tenant: Tenant) -> list[str]:
        """What a tenant's numbers have other than the oracle."""
        done = {d["deal_id"]: d["activity_count"] for d in tenant.items("/v1/deals")}
        return [
            *comparing.differing(done, self.done),
            *comparing.states(tenant, self.past),
            *comparing.view_visits(tenant, self.past),
            *(f for q in QUESTIONS for f in comparing.conversion(tenant, LOANS, self.past, q)),
            *comparing.snapshot(tenant, LOANS, self.past, MIDDLE, by=("owner_id",)),
            *comparing.snapshot(tenant, LOANS, self.past, END, known_at=MIDDLE),
            *comparing_metrics.metrics(tenant, LOANS, self.expected, self.cells),
        ]


def rebuilt(tenant: Tenant, seconds: float = 300) -> None:
    """Rebuild, and insist that an equal result was found and has been switched to."""
    before = tenant.get("/v1/projection")["generation"]
    found = tenant.rebuild(seconds)
    assert (found["state"], found["differing"]) == ("switched", 0), found
    assert found["total"] == found["done"] > 0
    assert tenant.get("/v1/projection")["generation"] != before
