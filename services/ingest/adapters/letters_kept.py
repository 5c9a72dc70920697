"""Letters from the `.dlq` topics into `ingest.dead_letters`, as the worker role.

A letter belongs to the tenant that its record names, if there is one; every other is the
operator's, kept under the operator's reserved tenant behind the same wall.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import uuid5
from libs.common.web.auth import OPERATOR_TENANT
from services.ingest.app.letters_read import ReadLetter

_TENANTS = text("SELECT tenant_id FROM ingest.tenants WHERE tenant_id = ANY(CAST(:told AS text[]))")
_HELD = text("""
    SELECT tenant_id, dead_letter_id FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND dead_letter_id = :redriven
""")
_REOPEN = text("""
    UPDATE ingest.dead_letters SET state = 'open', code = :code, detail = :detail, topic = :topic,
        partition = :partition, "offset" = :offset, reader_group = :reader_group,
        service_version = :service_version, tries = tries + :tries,
        last_seen_at = greatest(last_seen_at, received_at, :failed_at)
    WHERE tenant_id = :tenant_id AND dead_letter_id = :redriven
        AND (topic IS DISTINCT FROM :topic OR "offset" < :offset)
    RETURNING 1
""")
_DIED_AGAIN = text("""
    INSERT INTO ingest.dead_letter_history (tenant_id, dead_letter_id, entry_id, at, action, detail,
        partition, "offset")
    VALUES (:tenant_id, :redriven, :entry_id, :failed_at, 'dead_again', :code || ': ' || :detail,
        :partition, :offset)
    ON CONFLICT DO NOTHING
""")
_KEEP = text("""
    INSERT INTO ingest.dead_letters AS d (tenant_id, dead_letter_id, source, event_id, code, detail,
        header_names, header_values, body, received_at, topic, partition, "offset", record_key,
        reader_group, service_version, tries, last_seen_at)
    VALUES (:tenant_id, :letter_id, :source, :event_id, :code, :detail, CAST(:names AS text[]),
        CAST(:contents AS bytea[]), :body, :failed_at, :topic, :partition, :offset, :key,
        :reader_group, :service_version, :tries, :failed_at)
    ON CONFLICT (tenant_id, dead_letter_id) DO UPDATE
    SET tries = d.tries + excluded.tries, last_seen_at = excluded.last_seen_at
    WHERE excluded.last_seen_at > d.last_seen_at
""")


class SqlLetters:
    """`LetterStore` over PostgreSQL."""

    async def keep(self, tx: AsyncConnection, letters: Sequence[ReadLetter]) -> None:
        tenants = await _tenants(tx, {letter.told_tenant for letter in letters})
        for letter in letters:
            tenant = letter.told_tenant if letter.told_tenant in tenants else OPERATOR_TENANT
            row = _row(letter, tenant)
            if not await _came_back(tx, letter, row):
                await tx.execute(_KEEP, row)


async def _tenants(tx: AsyncConnection, told: Collection[str]) -> Collection[str]:
    rows = await tx.execute(_TENANTS, {"told": sorted(told)})
    return {row.tenant_id for row in rows}


async def _came_back(tx: AsyncConnection, letter: ReadLetter, row: Mapping[str, Any]) -> bool:
    """Whether this is the end of a redrive; then the letter that was redriven is open again."""
    if letter.redriven is None or (await tx.execute(_HELD, row)).first() is None:
        return False
    if (await tx.execute(_REOPEN, row)).first() is not None:
        await tx.execute(_DIED_AGAIN, row)
    return True


def _row(letter: ReadLetter, tenant_id: str) -> Mapping[str, Any]:
    place = (letter.topic, str(letter.partition), str(letter.offset))
    return {
        "tenant_id": tenant_id,
        "letter_id": letter.letter_id,
        "redriven": letter.redriven,
        "entry_id": uuid5("dead_again", str(letter.redriven), *place),
        "source": letter.source,
        "event_id": letter.event_id,
        "code": letter.code,
        "detail": letter.detail,
        "names": [name for name, _ in letter.headers],
        "contents": [content for _, content in letter.headers],
        "body": letter.body,
        "failed_at": letter.failed_at,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.key,
        "reader_group": letter.reader_group,
        "service_version": letter.service_version,
        "tries": letter.tries,
    }
