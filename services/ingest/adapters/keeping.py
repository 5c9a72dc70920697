"""What deliveries bring besides events: dead letters and records that have to be read anew."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from libs.common.db.database import Database
from libs.common.db.errors import is_refused
from libs.common.ids import uuid5
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.ports import Unkeepable
from services.ingest.domain.letters import Letter
from services.ingest.domain.put_aside import PutAside

_LETTER = text("""
    INSERT INTO ingest.dead_letters (tenant_id, dead_letter_id, source, event_id, code, detail,
        header_names, header_values, body, received_at, deal_id)
    VALUES (:tenant_id, :dead_letter_id, :source, :event_id, :code, :detail,
        CAST(:names AS text[]), CAST(:contents AS bytea[]), :body, :received_at, :deal_id)
    ON CONFLICT DO NOTHING
""")
_REFRESH = text("""
    INSERT INTO ingest.refreshes AS r (tenant_id, connection_id, entity, record_id, reason,
        first_at, last_at, times)
    VALUES (:tenant_id, :connection_id, :entity, :record_id, :reason, :at, :at, 1)
    ON CONFLICT (tenant_id, connection_id, entity, record_id) DO UPDATE
    SET reason = excluded.reason, last_at = greatest(r.last_at, excluded.last_at),
        times = r.times + 1
""")
_LONGEST = 200
"""Of a name; a longer one is no CRM's, and no index takes it."""


class SqlKeeper:
    """`Keeper` over PostgreSQL; `database` is a pool of the worker role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, aside: PutAside) -> None:
        with _told_apart():
            await self._keep(aside)

    async def _keep(self, aside: PutAside) -> None:
        async with worker_transaction(self._database) as tx:
            if aside.letters:
                await tx.execute(_LETTER, [_letter(letter, aside.at) for letter in aside.letters])
            if aside.refreshes:
                await tx.execute(_REFRESH, _refreshes(aside))


@contextmanager
def _told_apart() -> Iterator[None]:
    """What PostgreSQL refuses for good is `Unkeepable`."""
    try:
        yield
    except SQLAlchemyError as error:
        if not is_refused(error):
            raise
        raise Unkeepable from error


def letter_id(letter: Letter) -> UUID:
    """The same for every attempt to deliver what is put aside."""
    named = (letter.tenant_id, letter.source, letter.event_id or "", letter.digest)
    return uuid5(letter.code, *named)


def _letter(letter: Letter, at: datetime) -> Mapping[str, Any]:
    return {
        "tenant_id": letter.tenant_id,
        "dead_letter_id": letter_id(letter),
        "source": letter.source,
        "event_id": letter.event_id,
        "code": letter.code,
        "detail": letter.detail,
        "names": [name for name, _ in letter.headers],
        "contents": [content for _, content in letter.headers],
        "body": letter.body,
        "deal_id": letter.deal_id,
        "received_at": at,
    }


def _refreshes(aside: PutAside) -> Sequence[Mapping[str, Any]]:
    """Each record once, in key order, so that two writers cannot lock crosswise."""
    reasons = {
        (one.entity[:_LONGEST], one.record_id[:_LONGEST]): one.reason for one in aside.refreshes
    }
    return [
        {
            "tenant_id": aside.tenant_id,
            "connection_id": aside.connection_id,
            "entity": entity,
            "record_id": record_id,
            "reason": reason,
            "at": aside.at,
        }
        for (entity, record_id), reason in sorted(reasons.items())
    ]
