"""Accounts, leads, users and teams as of two instants, from `funnel.context_history`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.bulk import ended
from libs.common.measures.scope import Instants


@dataclass(frozen=True, slots=True)
class Entity:
    """What holds of one entity over `[valid_from, valid_to)`; `None` is "still"."""

    id: str
    valid_from: datetime
    valid_to: datetime | None
    data: dict[str, Any]


async def page(
    tx: AsyncConnection, tenant_id: str, kind: str, at: Instants, after: str, limit: int
) -> Sequence[Entity]:
    """Entities of a kind that are there as of `at`, by id."""
    return await _read(tx, tenant_id, kind, at, "h.id > :id", after, limit)


async def one(
    tx: AsyncConnection, tenant_id: str, kind: str, at: Instants, id_: str
) -> Entity | None:
    found = await _read(tx, tenant_id, kind, at, "h.id = :id", id_, 1)
    return found[0] if found else None


async def _read(
    tx: AsyncConnection, tenant_id: str, kind: str, at: Instants, which: str, id_: str, limit: int
) -> Sequence[Entity]:
    statement = f"""SELECT h.id, h.valid_from, h.valid_to, h.data FROM funnel.context_history h
        WHERE h.tenant_id = :tenant AND h.kind = :kind AND {which}
            AND h.valid_from <= :valid_at AND h.valid_to > :valid_at AND {at.known("h")}
        ORDER BY h.id LIMIT :limit"""  # noqa: S608  # constants of this module and of the measures
    bound = {"tenant": tenant_id, "kind": kind, "id": id_, "limit": limit, **at.parameters}
    rows = await tx.execute(text(statement), bound)
    return [
        Entity(row.id, row.valid_from, ended(row.valid_to), orjson.loads(row.data)) for row in rows
    ]
