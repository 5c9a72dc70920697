"""`ingest.dead_letters` as its reader sees it: lists, single letters, and what became of them.

Each call runs in a transaction of the tenant, or of the operator; every statement says which.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.expr.port import Expressions
from libs.common.ids import uuid7
from libs.common.web.auth import OPERATOR_TENANT
from services.ingest.adapters import acceptance
from services.ingest.adapters.connections_now import translating
from services.ingest.app.ports import Appended
from services.ingest.app.redriving import CHUNK, Redriven, chunks
from services.ingest.domain.connections import Live
from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.redriving import StoredLetter

_SHOWN = """dead_letter_id AS id, state, code, detail, source, event_id, deal_id, topic, partition,
    "offset", reader_group, service_version, tries, received_at AS first_seen_at,
    coalesce(last_seen_at, received_at) AS last_seen_at, octet_length(body) AS bytes,
    header_names && ARRAY['ce_type', 'connection-kind'] AS names_event"""
_FITS = """(CAST(:codes AS text[]) IS NULL OR code = ANY (CAST(:codes AS text[])))
        AND (CAST(:states AS text[]) IS NULL OR state = ANY (CAST(:states AS text[])))
        AND (CAST(:deal_id AS text) IS NULL OR deal_id = :deal_id)
        AND (CAST(:source AS text) IS NULL OR source = :source)
        AND (CAST(:event_id AS text) IS NULL OR event_id = :event_id)
        AND (CAST(:since AS timestamptz) IS NULL OR received_at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR received_at < :until)"""
_PAGE = text(f"""
    SELECT {_SHOWN} FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND {_FITS}
        AND (CAST(:at AS timestamptz) IS NULL
            OR (received_at, dead_letter_id) < (:at, CAST(:id AS uuid)))
    ORDER BY received_at DESC, dead_letter_id DESC LIMIT :limit
""")  # noqa: S608  constants only
_ONE = text(f"""
    SELECT {_SHOWN}, header_names, header_values, body, record_key FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND dead_letter_id = :id
""")  # noqa: S608
_HISTORY = text("""
    SELECT at, actor, action, detail, partition, "offset" FROM ingest.dead_letter_history
    WHERE tenant_id = :tenant_id AND dead_letter_id = :id ORDER BY at, entry_id LIMIT 500
""")
_ALONE = text("""
    SELECT pg_try_advisory_xact_lock(hashtextextended('ingest.redrive ' || :tenant_id, 0))
""")
_NAMED = text("""
    SELECT dead_letter_id FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND dead_letter_id = ANY (CAST(:ids AS uuid[]))
    ORDER BY received_at, dead_letter_id FOR UPDATE
""")
_OF_KIND = text("""
    SELECT dead_letter_id FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND state = 'open'
        AND (CAST(:code AS text) IS NULL OR code = :code)
        AND (CAST(:deal_id AS text) IS NULL OR deal_id = :deal_id)
        AND (CAST(:after AS uuid) IS NULL OR (received_at, dead_letter_id) > (
            SELECT a.received_at, a.dead_letter_id FROM ingest.dead_letters a
            WHERE a.tenant_id = :tenant_id AND a.dead_letter_id = CAST(:after AS uuid)))
    ORDER BY received_at, dead_letter_id LIMIT :limit FOR UPDATE
""")
_LOAD = text("""
    SELECT dead_letter_id, state, code, topic, event_id, header_names, header_values, body,
        source, received_at
    FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND dead_letter_id = ANY (CAST(:ids AS uuid[]))
    ORDER BY array_position(CAST(:ids AS uuid[]), dead_letter_id)
""")
_TENANTS = text("""
    SELECT tenant_id FROM ingest.tenants WHERE tenant_id = ANY (CAST(:named AS text[]))
""")
_SETTLE = text("""
    UPDATE ingest.dead_letters SET state = :state
    WHERE tenant_id = :tenant_id AND dead_letter_id = :id AND state = 'open'
    RETURNING 1
""")
_REMEMBER = text("""
    INSERT INTO ingest.dead_letter_history (tenant_id, dead_letter_id, entry_id, at, actor, action,
        detail, partition, "offset")
    VALUES (:tenant_id, :id, :entry_id, :at, :actor, :state, :detail, :partition, :offset)
""")
_MOVED = text("""
    UPDATE ingest.acceptance SET partition = :partition, "offset" = :offset
    WHERE tenant_id = :tenant_id AND source = :source AND event_id = :event_id
        AND body_hash = :body_hash
""")


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; `since` and `until` bound when they were first seen, half-open."""

    codes: list[str] | None = None
    states: list[str] | None = None
    deal_id: str | None = None
    source: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class SqlLetters:
    """`Letters` in one transaction; `owner` is a tenant or the operator, `actor` who asks."""

    def __init__(
        self,
        tx: AsyncConnection,
        owner: str,
        actor: str,
        clock: Clock,
        expressions: Expressions | None = None,
    ) -> None:
        self._tx, self._owner, self._actor, self._clock = tx, owner, actor, clock
        self._expressions = expressions

    @property
    def tenant_id(self) -> str | None:
        return None if self._owner == OPERATOR_TENANT else self._owner

    async def page(
        self, wanted: LetterFilter, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[RowMapping]:
        """Newest first."""
        at, id_ = before or (None, None)
        values = {**asdict(wanted), "at": at, "id": id_, "limit": limit}
        return (await self._tx.execute(_PAGE, self._own(**values))).mappings().all()

    async def one(self, id_: UUID) -> RowMapping | None:
        return (await self._tx.execute(_ONE, self._own(id=id_))).mappings().first()

    async def history(self, id_: UUID) -> Sequence[RowMapping]:
        return (await self._tx.execute(_HISTORY, self._own(id=id_))).mappings().all()

    async def alone(self) -> bool:
        """Whether nobody else redrives letters of this owner; held to the transaction's end."""
        return bool(await self._tx.scalar(_ALONE, self._own()))

    async def named(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that are the owner's, locked, oldest first."""
        return list(await self._tx.scalars(_NAMED, self._own(ids=list(ids))))

    async def of_kind(
        self, code: str | None, deal_id: str | None, after: UUID | None, limit: int
    ) -> list[UUID]:
        """Open ones, locked, oldest first, those behind `after`."""
        values = self._own(code=code, deal_id=deal_id, after=after, limit=limit)
        return list(await self._tx.scalars(_OF_KIND, values))

    async def load(self, ids: Sequence[UUID]) -> Sequence[StoredLetter]:
        rows = await self._tx.execute(_LOAD, self._own(ids=list(ids)))
        return [_stored(row) for row in rows.mappings()]

    async def tenants(self, named: Collection[str]) -> Collection[str]:
        rows = await self._tx.scalars(_TENANTS, {"named": sorted(named)})
        return set(rows)

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        return await acceptance.known(self._tx, keys)

    async def connection(self, connection_id: str) -> Live | None:
        return await translating(self._tx, self._owner, connection_id, self._expressions)

    async def entered(self, redriven: Sequence[Redriven], at: datetime) -> None:
        """The history of a letter has the place of its first event."""
        for some in chunks([one.entry for one in redriven], CHUNK):
            await acceptance.write(self._tx, some)
            await self._tx.execute(_MOVED, [_moved(entry) for entry in some])
        first = {one.letter_id: one.entry for one in reversed(redriven)}
        for id_, entry in reversed(first.items()):
            await self._settle(id_, "redriven", at, None, entry.partition, entry.offset)

    async def keep_conflicts(self, conflicts: Sequence[Candidate], at: datetime) -> None:
        for some in chunks(conflicts, CHUNK):
            await acceptance.keep_conflicts(self._tx, some, at)

    async def dismiss(self, ids: Sequence[UUID], reason: str, at: datetime) -> set[UUID]:
        """Those that were open."""
        return {id_ for id_ in ids if await self._settle(id_, "dismissed", at, reason)}

    async def _settle(
        self,
        id_: UUID,
        state: str,
        at: datetime,
        detail: str | None,
        partition: int | None = None,
        offset: int | None = None,
    ) -> bool:
        values = self._own(id=id_, state=state, at=at, detail=detail, partition=partition)
        if (await self._tx.execute(_SETTLE, values)).first() is None:
            return False
        entry = {"entry_id": uuid7(self._clock), "actor": self._actor, "offset": offset}
        await self._tx.execute(_REMEMBER, values | entry)
        return True

    def _own(self, **values: object) -> dict[str, object]:
        return {"tenant_id": self._owner, **values}


def _moved(entry: Appended) -> dict[str, object]:
    key, place = entry.candidate.key, {"partition": entry.partition, "offset": entry.offset}
    return {**key._asdict(), **place, "body_hash": entry.candidate.body_hash}


def _stored(row: RowMapping) -> StoredLetter:
    return StoredLetter(
        letter_id=row["dead_letter_id"],
        state=row["state"],
        code=row["code"],
        topic=row["topic"],
        event_id=row["event_id"],
        headers=tuple(zip(row["header_names"], map(bytes, row["header_values"]), strict=True)),
        body=None if row["body"] is None else bytes(row["body"]),
        source=row["source"],
        received_at=row["received_at"],
    )
