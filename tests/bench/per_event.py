"""The usual per-event handler: one SQLAlchemy Core transaction for each message.

Core and not the ORM, prepared statements, a warm pool, automatic offset commits: the faster half of
what one finds in the wild.
"""

from typing import Any

from sqlalchemy import Column, MetaData, Table, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.types import JSON, Date, DateTime, Integer, Numeric, Text, TypeEngine

from libs.common.db.urls import sqlalchemy_url
from libs.common.eventlog.port import EventLog
from tests.bench import plain
from tests.bench.plain import Deal, Event
from tests.bench.source import Watch, opened

_TYPES: dict[str, TypeEngine[Any]] = {
    "text": Text(), "int": Integer(), "numeric": Numeric(), "date": Date(),
    "timestamptz": DateTime(timezone=True), "json": JSON(),
}  # fmt: skip
_META = MetaData(schema="plain")


def _table(name: str, columns: dict[str, str], key: tuple[str, ...]) -> Table:
    return Table(name, _META, *(
        Column(column, _TYPES[kind], primary_key=column in key) for column, kind in columns.items()
    ))  # fmt: skip


_EVENTS = _table("events", plain.EVENTS, ("tenant_id", "source", "event_id"))
_DEALS = _table("deals", plain.DEALS, ("tenant_id", "deal_id"))
_VISITS = _table("visits", plain.VISITS, ("tenant_id", "deal_id", "n"))
_KEEP = insert(_EVENTS).on_conflict_do_nothing().returning(_EVENTS.c.event_id)
_PUT = insert(_VISITS)
_VISIT = _PUT.on_conflict_do_update(
    index_elements=["tenant_id", "deal_id", "n"], set_={"left_at": _PUT.excluded.left_at}
)


async def run(log: EventLog, topic: str, url: str, count: int, group: str) -> float:
    """Seconds for `count` messages of `topic`, from the first fetch to the last commit."""
    engine = create_async_engine(sqlalchemy_url(url), json_serializer=str)  # as it came
    try:
        async with engine.connect():
            pass  # the pool is warm
        async with opened(log, topic, group) as source:
            watch = Watch()
            for _ in range(count):
                messages = await source.next(1)
                while not messages:
                    messages = await source.next(1)
                async with engine.begin() as tx:
                    await _handle(tx, plain.decode(messages[0]))
            return watch.seconds
    finally:
        await engine.dispose()


async def _handle(tx: AsyncConnection, event: Event) -> None:
    values = dict(zip(plain.EVENTS, event, strict=False))
    if (await tx.execute(_KEEP, values)).first() is None:
        return
    mine = (_DEALS.c.tenant_id == event.tenant_id) & (_DEALS.c.deal_id == event.deal_id)
    row = (await tx.execute(select(_DEALS).where(mine).with_for_update())).first()
    deal = Deal(*row) if row else Deal(event.tenant_id, event.deal_id)
    visits = deal.apply(event)
    state = dict(zip(plain.DEALS, deal.row, strict=True))
    await tx.execute(update(_DEALS).where(mine) if row else insert(_DEALS), state)
    for visit in visits:
        await tx.execute(_VISIT, visit._asdict())
