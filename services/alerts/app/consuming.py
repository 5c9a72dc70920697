"""Batches of `headway.deals.v1`: which subjects are to be judged, and how far facts are complete.

Nothing is decided here. What is marked commits with the positions; judging comes afterwards, from
the facts as they then are.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.deals import Watermark
from libs.common.contracts.envelope import Envelope, from_headers, undecodable
from libs.common.contracts.errors import ContractViolation
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.port import Record
from services.alerts.app.ports import Mark


class ConsumingStore(Protocol):
    """What a batch writes."""

    async def mark(self, marks: Collection[Mark]) -> None: ...

    async def raise_watermark(self, partition: int, watermark: datetime) -> None:
        """Keep the greatest watermark that was consumed of a partition."""
        ...


class StoreOf(Protocol):
    def __call__(self, tx: AsyncConnection) -> ConsumingStore: ...


class DealsHandler:
    """Handles batches of `headway.deals.v1`."""

    def __init__(self, store_of: StoreOf) -> None:
        self._store_of = store_of

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        """Mark the subjects; return what cannot be read."""
        store, buried = self._store_of(tx), list[Buried]()
        marks: dict[tuple[str, str], Mark] = {}
        watermarks: dict[int, datetime] = {}
        for record in records:
            try:
                _take(record, marks, watermarks)
            except ContractViolation as error:
                buried.append(Buried(record, "undecodable", str(error)))
        await store.mark(marks.values())
        for partition, watermark in sorted(watermarks.items()):
            await store.raise_watermark(partition, watermark)
        return buried


def _take(
    record: Record, marks: dict[tuple[str, str], Mark], watermarks: dict[int, datetime]
) -> None:
    """Types that we do not know are skipped."""
    envelope = from_headers(record.headers, record.value)
    if envelope.type == Watermark.event_type:
        watermarks[record.partition] = envelope.occurred_at
    elif envelope.type == "deal.state_changed":
        mark = _mark(envelope)
        key = mark.tenant_id, mark.subject_id
        if mark.brought or key not in marks:
            marks[key] = mark


def _mark(envelope: Envelope) -> Mark:
    brought = envelope.origin != "live"
    return Mark(envelope.tenant_id, _deal_id(envelope), brought, envelope.recorded_at)


def _deal_id(envelope: Envelope) -> str:
    """The subject; the body is only asked where a writer left it out."""
    if envelope.subject:
        return envelope.subject
    try:
        return str(orjson.loads(envelope.data)["deal_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise undecodable("/data/deal_id", "names no deal") from None
