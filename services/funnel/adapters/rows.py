"""`funnel.visits` and `funnel.deal_history`: rows in two times, read and changed in bulk."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from libs.common.db.bulk import FOREVER, ended, insert, replace, transposed
from services.funnel.adapters.columns import FACTS, facts_of, facts_row
from services.funnel.app.model import DealWrite, StoredRows
from services.funnel.domain.diff import RowChanges
from services.funnel.domain.model import Known, Span, Visit

RowsKey = tuple[str, int, str]
_KEY = ("tenant_id", "generation", "deal_id", "n", "known_from")
_HEAD = {"tenant_id": "text", "generation": "int", "deal_id": "text"}
_KNOWN = {"known_from": "timestamptz", "known_to": "timestamptz"}
_VISIT = _HEAD | {
    "n": "int", "pipeline_id": "text", "stage_id": "text", "class": "text",
    "entered_at": "timestamptz", "left_at": "timestamptz", "exit": "text",
    "next_stage_id": "text", "actor_id": "text", "event_source": "text", "event_id": "text",
} | _KNOWN  # fmt: skip
_SPAN = (
    _HEAD | {"n": "int", "valid_from": "timestamptz", "valid_to": "timestamptz"} | FACTS | _KNOWN
)
_PUT_VISITS = insert("funnel.visits", _VISIT) + replace(_VISIT, _KEY)
_PUT_SPANS = insert("funnel.deal_history", _SPAN) + replace(_SPAN, _KEY)
_CHANGED = """FROM unnest($1::text[], $2::int[], $3::text[], $4::int[], $5::timestamptz[],
        $6::timestamptz[]) AS k(tenant_id, generation, deal_id, n, known_from, known_to)
    WHERE r.tenant_id = k.tenant_id AND r.generation = k.generation AND r.deal_id = k.deal_id
        AND r.n = k.n AND r.known_from = k.known_from"""
_DROPPED = _CHANGED.replace("FROM", "USING", 1)
CLOSE_VISITS = f"UPDATE funnel.visits r SET known_to = k.known_to {_CHANGED}"  # noqa: S608
CLOSE_SPANS = f"UPDATE funnel.deal_history r SET known_to = k.known_to {_CHANGED}"  # noqa: S608
DROP_VISITS = f"DELETE FROM funnel.visits r {_DROPPED}"  # noqa: S608
DROP_SPANS = f"DELETE FROM funnel.deal_history r {_DROPPED}"  # noqa: S608
_READ = """SELECT r.*
    FROM unnest($1::text[], $2::int[], $3::text[]) AS k(tenant_id, generation, deal_id)
    JOIN funnel.{table} r USING (tenant_id, generation, deal_id)"""
READ_VISITS, READ_SPANS = _READ.format(table="visits"), _READ.format(table="deal_history")


async def rows_of(conn: Any, deals: Collection[RowsKey]) -> dict[RowsKey, StoredRows]:
    keys = transposed(sorted(deals), 3)
    visits: dict[RowsKey, list[Known[Visit]]] = defaultdict(list)
    spans: dict[RowsKey, list[Known[Span]]] = defaultdict(list)
    for row in await conn.fetch(READ_VISITS, *keys):
        visits[_key(row)].append(Known(_visit(row), row["known_from"], ended(row["known_to"])))
    for row in await conn.fetch(READ_SPANS, *keys):
        spans[_key(row)].append(Known(_span(row), row["known_from"], ended(row["known_to"])))
    return {key: StoredRows(visits[key], spans[key]) for key in visits.keys() | spans.keys()}


def _key(row: Any) -> RowsKey:
    return row["tenant_id"], row["generation"], row["deal_id"]


def _visit(row: Any) -> Visit:
    return Visit(*tuple(row)[3:14])


def _span(row: Any) -> Span:
    return Span(row["n"], row["valid_from"], ended(row["valid_to"]), facts_of(row))


async def write_rows(conn: Any, writes: Sequence[DealWrite]) -> None:
    """Apply all row changes: drop, then close, then put."""
    visits = [(write, write.visits) for write in writes]
    spans = [(write, write.spans) for write in writes]
    await _drop(conn, DROP_VISITS, visits)
    await _drop(conn, DROP_SPANS, spans)
    await _close(conn, CLOSE_VISITS, visits)
    await _close(conn, CLOSE_SPANS, spans)
    await _put(conn, _PUT_VISITS, visits, _visit_row, len(_VISIT))
    await _put(conn, _PUT_SPANS, spans, _span_row, len(_SPAN))


def _head(write: DealWrite) -> RowsKey:
    return write.tenant_id, write.generation, write.deal_id


Changes = Sequence[tuple[DealWrite, RowChanges[Any]]]


async def _drop(conn: Any, statement: str, changes: Changes) -> None:
    rows = [(*_head(w), *key, None) for w, change in changes for key in change.drop]
    if rows:
        await conn.execute(statement, *transposed(rows, 6))


async def _close(conn: Any, statement: str, changes: Changes) -> None:
    rows = [(*_head(w), *key, until) for w, change in changes for key, until in change.close]
    if rows:
        await conn.execute(statement, *transposed(rows, 6))


async def _put(
    conn: Any, statement: str, changes: Changes, row: Callable[[Any], tuple[Any, ...]], width: int
) -> None:
    rows = [
        (*_head(w), *row(known.row), known.known_from, known.known_to or FOREVER)
        for w, change in changes
        for known in change.put
    ]
    if rows:
        await conn.execute(statement, *transposed(rows, width))


def _visit_row(visit: Visit) -> tuple[Any, ...]:
    return tuple(visit)


def _span_row(span: Span) -> tuple[Any, ...]:
    return (span.n, span.valid_from, span.valid_to or FOREVER, *facts_row(span.facts))
