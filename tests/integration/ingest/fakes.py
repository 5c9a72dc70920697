"""A log that can be told to fail, and what tests say often."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from libs.common.eventlog.port import (
    LogUnavailable,
    NewRecord,
    Partition,
    PartitionEnds,
    Reader,
    TopicConfig,
)

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class ScriptedLog:
    """An `EventLog` of one partition that keeps what it acknowledged and fails on demand."""

    def __init__(self) -> None:
        self.records: list[NewRecord] = []
        self.appends = 0
        self.down = False
        self.fail_at: int | None = None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None: ...

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        self.appends += 1
        if self.down or self.appends == self.fail_at:
            raise LogUnavailable("scripted")
        start = len(self.records)
        self.records += records
        return [(0, start + n) for n in range(len(records))]

    async def topic_id(self, topic: str) -> str:
        return "topic"

    async def ends(self, topic: str) -> Mapping[Partition, PartitionEnds]:
        return {Partition(topic, 0): PartitionEnds(0, len(self.records))}

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> Reader:
        raise NotImplementedError

    @property
    def ids(self) -> list[str]:
        return [dict(record.headers)["ce_id"].decode() for record in self.records]


def stage_event(event_id: str, stage: Any = "a", **changes: Any) -> dict[str, Any]:
    """A structured event; `stage=7` makes it an invalid one."""
    whole = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/crm",
        "type": "deal.stage_changed",
        "time": "2026-03-01T09:00:00Z",
        "data": {"deal_id": f"D-{event_id}", "stage_id": stage},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def ndjson(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)
