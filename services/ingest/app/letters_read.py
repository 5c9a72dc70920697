"""Dead letters of every reader, from the `.dlq` topics into one table.

Whatever a record holds, it becomes a letter: the topics are the last place where something
unreadable may lie, so there is nowhere to put it aside to.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.cloudevents import MAX_ID, MAX_SOURCE
from libs.common.contracts.topics import TOPICS
from libs.common.contracts.values import instant_text, utc_in_range
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.port import Headers, Record
from libs.common.ids import uuid5
from services.ingest.domain.redriving import LETTER_HEADER

GROUP = "ingest"
READ = tuple(name for name, topic in TOPICS.items() if topic.consumers == (GROUP,))
"""Every dead-letter topic."""
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_MAX_TENANT = 200
_MAX_DETAIL = 2_000
_MAX_INT = 2**31 - 1
_MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReadLetter:
    """A dead letter as its topic tells it. `told_tenant` is what the record says of itself;
    `redriven` names the letter whose redrive ended here."""

    letter_id: UUID
    told_tenant: str
    redriven: UUID | None
    source: str | None
    event_id: str | None
    code: str
    detail: str
    topic: str
    partition: int
    offset: int
    reader_group: str | None
    service_version: str | None
    tries: int
    failed_at: datetime
    key: bytes | None
    headers: Headers
    body: bytes | None


class LetterStore(Protocol):
    async def keep(self, tx: AsyncConnection, letters: Sequence[ReadLetter]) -> None:
        """Each once, whatever is read twice; one that came back after a redrive opens again."""
        ...


class LettersHandler:
    """Handles batches of the dead-letter topics. It puts nothing aside itself."""

    def __init__(self, store: LetterStore) -> None:
        self._store = store

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        await self._store.keep(tx, [letter_of(record) for record in records])
        return ()


def letter_of(record: Record) -> ReadLetter:
    """What is missing or rubbish in the reason is taken from the record itself."""
    told = {_stored(name): _text(value) for name, value in record.headers}  # ours come last
    topic, partition, offset = _origin(record, told)
    appended = told.get("dlq.original.timestamp") or record.appended_at.isoformat()
    group = told.get("dlq.consumer.group")
    code = told.get("dlq.error.class", "")
    return ReadLetter(
        letter_id=uuid5("letter", group or "", topic, str(partition), str(offset), appended),
        told_tenant=told.get("ce_tenantid", "")[:_MAX_TENANT],
        redriven=_uuid(told.get(LETTER_HEADER, "")),
        source=_short(told.get("ce_source"), MAX_SOURCE),
        event_id=_short(told.get("ce_id"), MAX_ID),
        code=code if _CODE.fullmatch(code) else "other",
        detail=told.get("dlq.error.message", "no reason was given")[:_MAX_DETAIL],
        topic=topic,
        partition=partition,
        offset=offset,
        reader_group=_short(group, _MAX_TENANT),
        service_version=_short(told.get("dlq.service.version"), _MAX_TENANT),
        tries=_number(told.get("dlq.attempts", ""), _MAX_INT) or 1,
        failed_at=_instant(told.get("dlq.first.failed.at", "")) or record.appended_at,
        key=record.key,
        headers=tuple((_stored(name), value) for name, value in record.headers),
        body=record.value,
    )


def _origin(record: Record, told: Mapping[str, str]) -> tuple[str, int, int]:
    """Where the record lay first; without that, where it lies among the dead letters."""
    topic = told.get("dlq.original.topic", "")
    partition = _number(told.get("dlq.original.partition", ""), _MAX_INT)
    offset = _number(told.get("dlq.original.offset", ""), _MAX_OFFSET)
    if topic not in TOPICS or partition is None or offset is None:
        return record.topic, record.partition, record.offset
    return topic, partition, offset


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace").replace("\0", "")


def _stored(name: str) -> str:
    """A header's name as PostgreSQL can keep it."""
    return name.replace("\0", "").encode(errors="replace").decode()


def _short(text: str | None, limit: int) -> str | None:
    """An id cut short would be another one."""
    return text if text and len(text) <= limit else None


def _number(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return number if (number := int(text)) <= most else None


def _instant(text: str) -> datetime | None:
    try:
        return utc_in_range(instant_text(text))
    except ValueError:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
