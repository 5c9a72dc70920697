"""What a deal's timeline is made of, read from the funnel's published views.

One statement reads everything, so that all of it is of one snapshot: a batch that the funnel
commits in between is seen wholly or not at all.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from libs.common.contracts.catalogue import parse
from libs.common.contracts.deals import decimal_string
from libs.common.contracts.events import ActivityData
from libs.common.slices import in_slices
from services.alerts.adapters.timeline_sql import READ, STAGE_NAMES, WEIGH
from services.alerts.domain.timeline import (
    FACT_FIELDS,
    INSTANTS,
    EventRef,
    Facts,
    Merge,
    Said,
    Span,
    Visit,
)

LARGE = 200_000
"""Characters of facts beyond which a thread reads them, some 10 ms."""
StageNames = Mapping[tuple[str, str], str]


async def weights_of(
    conn: Any, tenant_id: str, deals: Collection[str], attributes: bool
) -> dict[str, int]:
    """About how many bytes of JSON `facts_of` reads of each deal."""
    return dict(await conn.fetch(WEIGH, sorted(deals), tenant_id, attributes))


async def facts_of(
    conn: Any, tenant_id: str, deals: Collection[str], attributes: bool = True
) -> dict[str, Facts]:
    """The facts of each deal that the funnel knows, in the order of `deals`; the transaction is
    bound to the tenant. Without `attributes` none has any."""
    if not deals:
        return {}
    rows = await conn.fetch(READ, sorted(deals), tenant_id, attributes)
    listed = await conn.fetch(STAGE_NAMES, tenant_id)
    names = {(pipeline, stage): name for pipeline, stage, name in listed}
    told = {row[0]: row for row in rows if row[1] is not None and row[3] is not None}
    read = (told[deal] for deal in deals if deal in told)
    return {row[0]: await _read(row, names) async for row in in_slices(read)}


async def _read(row: Any, names: StageNames) -> Facts:
    """A long one in a thread."""
    if sum(len(column or "") for column in row) > LARGE:
        return await asyncio.to_thread(_facts, row, names)
    return _facts(row, names)


def _facts(row: Any, names: StageNames) -> Facts:
    deal_id, first, declared, spans, visits, said, merges = row
    return Facts(
        deal_id,
        _event(*orjson.loads(first)),
        None if declared is None else _event(*orjson.loads(declared)),
        list(_spans(deal_id, orjson.loads(spans), names)),
        [_visit(visit) for visit in _listed(visits)],
        [_said(item) for item in _listed(said)],
        [Merge(_at(at), merged, into) for at, merged, into in _listed(merges)],
    )


def _listed(text: str | None) -> list[Any]:
    found: list[Any] = orjson.loads(text) if text else []
    return found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _event(at: str, source: str, event_id: str) -> EventRef:
    return EventRef(_at(at), source, event_id)


def _spans(deal_id: str, spans: list[list[Any]], names: StageNames) -> Iterator[Span]:
    """Attributes are told where they change, and are one object until then."""
    attributes: Mapping[str, Any] = {}
    for span in spans:
        state = dict(zip(FACT_FIELDS, span[1:], strict=True))
        if state["attributes"] is not None:
            attributes = state["attributes"]
        yield _span(deal_id, span[0], state | {"attributes": attributes}, names)


def _span(deal_id: str, at: str, state: dict[str, Any], names: StageNames) -> Span:
    """`amount` is a number for rules, `amount_text` the exact decimal for people."""
    for name in INSTANTS:
        state[name] = _at(state[name]) if state[name] is not None else None
    exact = state["amount"]
    state |= {
        "deal_id": deal_id,
        "stage_name": names.get((state["pipeline_id"], state["stage_id"])),
        "amount": None if exact is None else float(exact),
        "amount_text": None if exact is None else decimal_string(Decimal(exact).normalize()),
    }
    return Span(_at(at), state)


def _visit(visit: list[Any]) -> Visit:
    at, source, event_id, left_at = visit
    return Visit(_event(at, source, event_id), None if left_at is None else _at(left_at))


def _said(item: list[Any]) -> Said:
    at, source, event_id, kind, deal_id, data, retold = item
    parsed = parse(kind, orjson.dumps(data), strict=False)
    if not isinstance(parsed, ActivityData):
        raise TypeError(f"{kind} is no activity")
    return Said(_event(at, source, event_id), kind, deal_id, parsed, retold)
