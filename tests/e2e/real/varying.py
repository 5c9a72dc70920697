"""The same part of the data delivered in other ways; whatever the way, the oracle's numbers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from tests.e2e.real import comparing, comparing_metrics
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
EVENTFUL = ("win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "flow")
METRICS = (
    *(Asked(name, END, monthly=True) for name in EVENTFUL),
    *(Asked(name, MIDDLE, group_by=("owner_id",), credit="current") for name in EVENTFUL),
    *(Asked(name, END, known_at=MIDDLE) for name in EVENTFUL),
    Asked("stalled", MIDDLE, threshold=timedelta(days=7), group_by=("owner_id",)),
)


@dataclass
class Part:
    """Some cases of the log, or all: its events, and what the oracle reads of it."""

    events: Sequence[dict[str, Any]]
    past: Past
    done: dict[str, int]

    @classmethod
    def read(cls, path: Path, every: int = 1) -> "Part":
        rows = list(bpic2012.rows(path))
        cases = set(sorted({row["case_id"] for row in rows})[::every])
        table = oracle_bpic.log(path, cases)
        events = list(bpic2012.events(row for row in rows if row["case_id"] in cases))
        assert len(events) == len(table)
        return cls(events, oracle_bpic.past(table), oracle_bpic.activities(table))

    def twice(self) -> list[dict[str, Any]]:
        return list(chain.from_iterable((event, event) for event in self.events))

    def shuffled(self, seed: int) -> list[dict[str, Any]]:
        mixed = list(self.events)
        random.Random(seed).shuffle(mixed)
        return mixed

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
            *(
                f
                for asked in METRICS
                for f in comparing_metrics.metric(tenant, LOANS, self.past, asked)
            ),
        ]


def rebuilt(tenant: Tenant, seconds: float = 300) -> None:
    """Rebuild, and insist that an equal result was found and has been switched to."""
    before = tenant.get("/v1/projection")["generation"]
    found = tenant.rebuild(seconds)
    assert (found["state"], found["differing"]) == ("switched", 0), found
    assert found["total"] == found["done"] > 0
    assert tenant.get("/v1/projection")["generation"] != before
