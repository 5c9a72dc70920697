"""The events of the load: deals change, and some that are told late are overdue at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

Event = dict[str, Any]
DEALS, BATCH = 2_000, 10
PIPELINE = {
    "name": "B2B",
    "stages": [
        {"id": "lead", "name": "Lead", "class": "open"},
        {"id": "offer", "name": "Offer", "class": "open"},
        {"id": "signed", "name": "Signed", "class": "won"},
    ],
}
RULE: Mapping[str, Any] = {
    "name": "Thirty days",
    "scope": "deal.status == 'open'",
    "clock": {"start": "stage_entered_at", "limit": "P30D"},
    "catch_up": "fire_late",
}


@dataclass
class Traffic:
    """`now` is the machine's time; ids never repeat within a run."""

    _ids: Iterator[int] = field(default_factory=count)

    def first(self) -> Iterator[Sequence[Event]]:
        """The deals that the load is about, in batches."""
        for start in range(0, DEALS, 100):
            numbers = range(start, start + 100)
            yield [self._event("deal.created", f"D-{n}", stage_id="lead") for n in numbers]

    def batch(self, number: int, overdue: bool) -> Sequence[Event]:
        """Ten events; with `overdue` the first is of a deal whose thirty days are over."""
        deals = [f"D-{(number * BATCH + n) % DEALS}" for n in range(BATCH)]
        events = [self._change(deal, n) for n, deal in enumerate(deals)]
        if overdue:
            old = datetime.now(UTC) - timedelta(days=40)
            events[0] = self._event("deal.created", f"L-{number}", old, stage_id="lead")
        return events

    def _change(self, deal: str, n: int) -> Event:
        if n % 3 == 0:
            return self._event("deal.stage_changed", deal, stage_id=("lead", "offer")[n % 2])
        return self._event("deal.updated", deal, changes={"amount": f"{n * 100}.00"})

    def _event(self, type_: str, deal: str, at: datetime | None = None, **data: Any) -> Event:
        id_, now = next(self._ids), at or datetime.now(UTC)
        return {
            "specversion": "1.0", "id": f"e{id_}", "source": "/bench", "type": type_,
            "time": now.isoformat(), "sequence": str(id_), "data": {"deal_id": deal, **data},
        }  # fmt: skip
