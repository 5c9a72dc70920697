"""Records as the topics of streams carry them."""

from dataclasses import replace
from datetime import UTC, datetime

from libs.common.contracts.envelope import Envelope, to_headers
from libs.common.eventlog.port import NewRecord, Record

AT = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)


def new_record(
    tenant: str,
    subject: str = "D-1",
    type_: str = "deal.state_changed",
    *,
    value: bytes = b'{"version":1}',
    key: bytes | None = None,
    partition: int | None = None,
    **changes: object,
) -> NewRecord:
    envelope = Envelope(
        tenant_id=tenant, source="/headway/funnel", id=f"{tenant}-{subject}-{type_}", type=type_,
        occurred_at=AT, recorded_at=AT, data=value, subject=subject,
    )  # fmt: skip
    headers = to_headers(replace(envelope, **changes))  # type: ignore[arg-type]
    return NewRecord(key or f"{tenant}:{subject}".encode(), value, headers, partition)


def stored(new: NewRecord, offset: int = 0, topic: str = "t") -> Record:
    return Record(topic, new.partition or 0, offset, new.key, new.value, new.headers, AT)
