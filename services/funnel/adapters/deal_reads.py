"""Lists of deals: the present from `funnel.deals`, the past from `funnel.deal_history`.

Pages follow a key: the values of the sort and the deal's id. Texts of statements are made of
constants; whatever a client sent is bound.
"""

# ruff: noqa: S608 - the texts are built from constants of this package and of the measures only

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.measures.scope import Instants, Parameters, Sql, matching
from services.funnel.adapters.columns import state_of
from services.funnel.app.deal_question import NOW_ONLY, SORTS, DealQuestion
from services.funnel.domain.model import DealState

_TYPES = SORTS | NOW_ONLY
_SHOWN = ("open", "won", "lost")
_ONE = text("""SELECT h.* FROM funnel.deals h
    JOIN funnel.generations g ON g.tenant_id = h.tenant_id AND g.current = h.generation
    WHERE h.tenant_id = :tenant AND h.deal_id = :deal_id""")
_VERSIONS = text("""SELECT h.deal_id, h.version FROM funnel.deals h
    JOIN funnel.generations g ON g.tenant_id = h.tenant_id AND g.current = h.generation
    WHERE h.tenant_id = :tenant AND h.deal_id = ANY(CAST(:deals AS text[]))""")
_MEASURED = "CAST(:measured_at AS timestamptz)"
_PLANS = text("SET LOCAL enable_seqscan = off")
"""Every list is of one tenant: without statistics the planner would read all of them."""
Key = list[Any]
"""The values of a row's sort, as texts, and its deal id."""


@dataclass(frozen=True, slots=True)
class Found:
    """A deal of a page. In the past only its id and key are known; the fold tells the rest."""

    deal_id: str
    key: Key
    state: DealState | None
    version: int


async def present(tx: AsyncConnection, tenant_id: str, deal_id: str) -> tuple[Any, int] | None:
    """The state and version as kept; the state is `None` while all events lie ahead."""
    bound = {"tenant": tenant_id, "deal_id": deal_id}
    row = (await tx.execute(_ONE, bound)).mappings().one_or_none()
    if row is None:
        return None
    return (state_of(row) if row["status"] is not None else None), row["version"]


async def versions(tx: AsyncConnection, tenant_id: str, deals: Sequence[str]) -> dict[str, int]:
    """Publication numbers."""
    rows = await tx.execute(_VERSIONS, {"tenant": tenant_id, "deals": list(deals)})
    return {row.deal_id: row.version for row in rows}


async def page(
    tx: AsyncConnection, tenant_id: str, asked: DealQuestion, after: Key | None, limit: int
) -> Sequence[Found]:
    """The next deals of a list, in its order."""
    await tx.execute(_PLANS)
    found = _statement(tenant_id, asked, after)
    rows = await tx.execute(text(found.text), found.parameters | {"limit": limit})
    return [_found(row, asked) for row in rows.mappings()]


def _found(row: Any, asked: DealQuestion) -> Found:
    key = [row[f"key_{i}"] for i in range(len(_order(asked)))]
    if not asked.at.present:
        return Found(row["deal_id"], key, None, 0)
    return Found(row["deal_id"], key, state_of(row), row["version"])


def _order(asked: DealQuestion) -> tuple[tuple[str, bool], ...]:
    """The sort, made total by the id."""
    named = any(column == "deal_id" for column, _ in asked.sort)
    return asked.sort if named else (*asked.sort, ("deal_id", False))


def _statement(tenant_id: str, asked: DealQuestion, after: Key | None) -> Sql:
    order = _order(asked)
    keys = ", ".join(f"h.{column}::text AS key_{i}" for i, (column, _) in enumerate(order))
    sort = ", ".join(f"h.{column} {'DESC' if down else 'ASC'} NULLS LAST" for column, down in order)
    source = _present_rows(asked) if asked.at.present else _past_rows(asked)
    filters = matching(asked.filters, _MEASURED)
    follows = _follows(order, after) if after else Sql("true", {})
    statement = f"""SELECT h.*, {keys} FROM {source.text} AND {filters.text} AND {follows.text}
        ORDER BY {sort} LIMIT :limit"""
    own = {"tenant": tenant_id, "measured_at": asked.measured_at}
    return Sql(statement, own | source.parameters | filters.parameters | follows.parameters)


def _current(table: str) -> str:
    return f"""funnel.{table} h
        JOIN funnel.generations g ON g.tenant_id = h.tenant_id AND g.current = h.generation
        WHERE h.tenant_id = :tenant"""


def _common(asked: DealQuestion) -> tuple[str, Parameters]:
    terms, bound = "", Parameters()
    if "status" not in asked.filters.one_of:
        terms, bound = " AND h.status = ANY(CAST(:shown AS text[]))", {"shown": list(_SHOWN)}
    if asked.pipelines:
        terms += " AND h.pipeline_id = ANY(CAST(:pipelines AS text[]))"
        bound["pipelines"] = list(asked.pipelines)
    return terms, bound


def _present_rows(asked: DealQuestion) -> Sql:
    terms, bound = _common(asked)
    if asked.idle_gte is not None:
        terms += f" AND h.last_event_at <= {_MEASURED} - CAST(:idle_gte AS interval)"
        bound["idle_gte"] = asked.idle_gte
    return Sql(f"{_current('deals')} AND h.status IS NOT NULL{terms}", bound)


def _past_rows(asked: DealQuestion) -> Sql:
    terms, bound = _common(asked)
    assert asked.at.valid_at is not None  # noqa: S101  # settled by the caller
    instants = Instants(asked.at.valid_at, asked.at.known_at)
    valid = "h.valid_from <= :valid_at AND h.valid_to > :valid_at"
    text_ = f"{_current('deal_history')} AND {valid} AND {instants.known('h')}{terms}"
    return Sql(text_, bound | instants.parameters)


def _follows(order: Sequence[tuple[str, bool]], after: Key) -> Sql:
    """Rows behind a key: equal in the first columns, beyond it in the next; nulls come last."""
    terms: list[str] = []
    equal: list[str] = []
    for i, (column, down) in enumerate(order):
        value = f"CAST(CAST(:after_{i} AS text) AS {_TYPES[column]})"
        if after[i] is not None:
            beyond = f"(h.{column} {'<' if down else '>'} {value} OR h.{column} IS NULL)"
            terms.append(" AND ".join((*equal, beyond)))
        equal.append(f"h.{column} IS NOT DISTINCT FROM {value}")
    return Sql(f"({' OR '.join(terms)})", {f"after_{i}": v for i, v in enumerate(after)})
