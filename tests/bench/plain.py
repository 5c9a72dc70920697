"""What the baselines keep: events, one row per deal, plain visits. The usual design, in its own
database, without two times, history, outbox or positions beside the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import orjson

from tests.bench.stream import LOST, WON

EVENTS = {
    "tenant_id": "text", "source": "text", "event_id": "text", "deal_id": "text", "type": "text",
    "occurred_at": "timestamptz", "recorded_at": "timestamptz", "data": "json",
}  # fmt: skip
DEALS = {
    "tenant_id": "text", "deal_id": "text", "pipeline_id": "text", "stage_id": "text",
    "status": "text", "stage_entered_at": "timestamptz", "visits": "int",
    "created_at": "timestamptz", "closed_at": "timestamptz", "name": "text", "amount": "numeric",
    "currency": "text", "owner_id": "text", "account_id": "text", "region": "text",
    "expected_close_date": "date", "lost_reason": "text", "activity_count": "int",
    "last_activity_at": "timestamptz", "last_event_at": "timestamptz",
}  # fmt: skip
VISITS = {
    "tenant_id": "text", "deal_id": "text", "n": "int", "pipeline_id": "text", "stage_id": "text",
    "entered_at": "timestamptz", "left_at": "timestamptz",
}  # fmt: skip


def _table(name: str, columns: dict[str, str], key: str) -> str:
    listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"CREATE TABLE plain.{name} ({listed}, PRIMARY KEY ({key}))"


TABLES = (
    "CREATE SCHEMA plain",
    _table("events", EVENTS, "tenant_id, source, event_id"),
    "CREATE INDEX ON plain.events (tenant_id, deal_id, occurred_at)",
    _table("deals", DEALS, "tenant_id, deal_id"),
    "CREATE INDEX ON plain.deals (tenant_id, pipeline_id, stage_id)",
    "CREATE INDEX ON plain.deals (tenant_id, owner_id)",
    _table("visits", VISITS, "tenant_id, deal_id, n"),
    "CREATE INDEX ON plain.visits (tenant_id, pipeline_id, stage_id, entered_at)",
)


class Message(Protocol):
    """What a log's client hands over; the port's record and aiokafka's have this in common."""

    @property
    def value(self) -> Any: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Event(NamedTuple):
    """A decoded message, in the order of `EVENTS`, and its `data` as an object."""

    tenant_id: str
    source: str
    event_id: str
    deal_id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    raw: str
    data: dict[str, Any]


class Visit(NamedTuple):
    """A row of `VISITS`."""

    tenant_id: str
    deal_id: str
    n: int
    pipeline_id: str
    stage_id: str
    entered_at: datetime
    left_at: datetime | None


def decode(message: Message) -> Event:
    """Without checks of the data: faster than a careful consumer would be."""
    head = {name: content.decode() for name, content in message.headers}
    data = orjson.loads(message.value)
    return Event(
        head["ce_tenantid"],
        head["ce_source"],
        head["ce_id"],
        data["deal_id"],
        head["ce_type"],
        datetime.fromisoformat(head["ce_time"]),
        datetime.fromisoformat(head["ce_recordedtime"]),
        message.value.decode(),
        data,
    )


@dataclass(slots=True)
class Deal:
    """A row of `DEALS`, folded in place in the order of arrival."""

    tenant_id: str
    deal_id: str
    pipeline_id: str | None = None
    stage_id: str | None = None
    status: str = "open"
    stage_entered_at: datetime | None = None
    visits: int = 0
    created_at: datetime | None = None
    closed_at: datetime | None = None
    name: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    owner_id: str | None = None
    account_id: str | None = None
    region: str | None = None
    expected_close_date: date | None = None
    lost_reason: str | None = None
    activity_count: int = 0
    last_activity_at: datetime | None = None
    last_event_at: datetime | None = None

    @property
    def row(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in DEALS)

    def apply(self, event: Event) -> list[Visit]:
        """Fold one event; the visits that it ended or began."""
        self.last_event_at = event.occurred_at
        match event.type:
            case "deal.created":
                self.created_at = event.occurred_at
                self.pipeline_id = event.data["pipeline_id"]
                self._set(event.data)
                return self._enter(event, event.data["stage_id"])
            case "deal.stage_changed":
                return self._enter(event, event.data["stage_id"])
            case "deal.updated":
                self._set(event.data["changes"])
            case "deal.won":
                self._set(event.data)
                return self._close(event, "won", WON)
            case "deal.lost":
                self.lost_reason = event.data.get("reason_code")
                return self._close(event, "lost", LOST)
            case "activity.logged":
                self.activity_count += 1
                last = self.last_activity_at or event.occurred_at
                self.last_activity_at = max(last, event.occurred_at)
        return []

    def _set(self, values: dict[str, Any]) -> None:
        for name in ("name", "currency", "owner_id", "account_id", "region"):
            if name in values:
                setattr(self, name, values[name])
        if "amount" in values:
            self.amount = Decimal(values["amount"])
        if "expected_close_date" in values:
            self.expected_close_date = date.fromisoformat(values["expected_close_date"])

    def _close(self, event: Event, status: str, stage_id: str) -> list[Visit]:
        self.status, self.closed_at = status, event.occurred_at
        return self._enter(event, stage_id)

    def _enter(self, event: Event, stage_id: str) -> list[Visit]:
        ended = [self._visit(event.occurred_at)] if self.visits else []
        self.stage_id, self.stage_entered_at = stage_id, event.occurred_at
        self.visits += 1
        return [*ended, self._visit(None)]

    def _visit(self, left_at: datetime | None) -> Visit:
        pipeline, stage, entered = self.pipeline_id, self.stage_id, self.stage_entered_at
        assert pipeline is not None
        assert stage is not None
        assert entered is not None
        return Visit(self.tenant_id, self.deal_id, self.visits, pipeline, stage, entered, left_at)
