"""Records that cannot be used are put aside with a reason; neighbours are folded, nothing stops."""

import asyncio
import secrets

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.loop import ConsumerLoop, LoopSettings
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import Headers, NewRecord, TopicConfig
from tests.integration.funnel.write_rig import Rig, Said, raw, said

pytestmark = pytest.mark.postgres
QUICK = LoopSettings(max_wait=0.02, max_backoff=0.05)
DEAL = b'{"deal_id":"d"'
BOMB = b'{"deal_id":"\xf0\x9f\x92\xa3"'
BODIES: dict[str, tuple[str, bytes | None]] = {
    "no value": ("deal.created", None),
    "no JSON": ("deal.created", b"{"),
    "no UTF-8": ("deal.created", DEAL + b',"name":"\xff"}'),
    "a list": ("deal.created", b"[]"),
    "no deal": ("deal.created", b"{}"),
    "NUL in an id": ("deal.created", b'{"deal_id":"d\\u0000"}'),
    "NUL in an attribute": ("deal.created", DEAL + b',"attributes":{"a":"\\u0000"}}'),
    "NUL in a key": ("deal.created", DEAL + b',"attributes":{"\\u0000":1}}'),
    "a lone surrogate": ("deal.created", DEAL + b',"name":"\\ud800"}'),
    "a lone surrogate in a field of tomorrow": ("deal.created", DEAL + b',"x":"\\ud800"}'),
    "NaN": ("deal.created", DEAL + b',"attributes":{"a":NaN}}'),
    "NaN in a field of tomorrow": ("deal.created", DEAL + b',"x":NaN}'),
    "infinity in a field of tomorrow": ("deal.created", DEAL + b',"x":-Infinity}'),
    "10^400": ("deal.created", DEAL + b',"attributes":{"a":1' + b"0" * 400 + b"}}"),
    "1e400": ("deal.created", DEAL + b',"attributes":{"a":1e400}}'),
    "an amount of 10^400": ("deal.created", DEAL + b',"amount":"1' + b"0" * 400 + b'"}'),
    "an amount of 1e400": ("deal.created", DEAL + b',"amount":1e400}'),
    "an absurd date": ("deal.created", DEAL + b',"expected_close_date":"9999-99-99"}'),
    "a date of another age": ("deal.created", DEAL + b',"renewal_date":"0001-01-01"}'),
    "a clearing of the stage": ("deal.updated", DEAL + b',"changes":{"stage_id":null}}'),
    "an absurd score": ("survey.answered", b'{"account_id":"a","kind":"nps","score":"1e999"}'),
    "too deep": ("deal.created", DEAL + b',"attributes":' + b'{"a":' * 500 + b"1" + b"}" * 501),
    "too deep for anything": ("deal.created", DEAL + b',"x":' + b"[" * 9000 + b"]" * 9000 + b"}"),
    "an unknown type without JSON": ("deal.dreamt", b"nothing"),
    "an unknown type with NaN": ("deal.dreamt", b'{"a":NaN}'),
    "an unknown type with a lone surrogate": ("deal.dreamt", b'{"a":"\\udc00"}'),
}
HEADERS: dict[str, dict[str, bytes]] = {
    "no UTF-8 in a header": {"ce_id": b"\xff"},
    "NUL in an id": {"ce_id": b"a\x00b"},
    "NUL in the tenant": {"ce_tenantid": b"\x00"},
    "an empty id": {"ce_id": b""},
    "no time": {"ce_time": b"yesterday"},
    "an absurd time": {"ce_time": b"9999-12-31T23:59:59Z"},
    "a time before all": {"ce_recordedtime": b"0001-01-01T00:00:00+14:00"},
    "an absurd sequence": {"ce_sequence": b"1" + b"0" * 400},
    "an unknown origin": {"ce_origin": b"elsewhere"},
    "an id as long as a book": {"ce_id": secrets.token_hex(20_000).encode()},
}


def poison(
    tenant: str, type_: str, body: bytes | None, **headers: bytes
) -> tuple[Headers, bytes | None]:
    good = dict(said(0, type_).record(tenant).headers)
    return tuple((good | headers).items()), body


def corpus(tenant: str) -> dict[str, tuple[Headers, bytes | None]]:
    bodies = {name: poison(tenant, *given) for name, given in BODIES.items()}
    return bodies | {
        f"headers: {name}": poison(tenant, "deal.created", b'{"deal_id":"d"}', **given)
        for name, given in HEADERS.items()
    }


async def through_the_loop(rig: Rig, records: list[NewRecord]) -> list[tuple[str, str]]:
    """`(id, code)` of the dead letters after all records have been consumed."""
    clock = SystemClock()
    log, group = MemoryLog(clock), f"group-{secrets.token_hex(4)}"
    await log.create_topics([TopicConfig(CRM_EVENTS, 1)])
    await log.append(CRM_EVENTS, records)
    loop = ConsumerLoop(
        log, rig.database, "funnel", [CRM_EVENTS], group, "m1", rig.handler, clock, QUICK
    )
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    try:
        async with asyncio.timeout(60):
            while not task.done() and await _position(rig, group) < len(records):
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await task
    return await _dead(rig, group)


async def _position(rig: Rig, group: str) -> int:
    found = await rig.hand.fetchval(
        "SELECT next_offset FROM funnel.positions WHERE reader_group = $1", group
    )
    return found or 0


async def _dead(rig: Rig, group: str) -> list[tuple[str, str]]:
    rows = await rig.hand.fetch(
        "SELECT header_names, header_values FROM funnel.outbox WHERE topic LIKE '%.dlq' ORDER BY id"
    )
    headers = [dict(zip(row[0], row[1], strict=True)) for row in rows]
    mine = [h for h in headers if h["dlq.consumer.group"] == group.encode()]
    return [(h["dlq.original.offset"].decode(), h["dlq.error.class"].decode()) for h in mine]


def new(record: tuple[Headers, bytes | None]) -> NewRecord:
    return NewRecord(None, record[1], record[0], 0)


def good(tenant: str, event: Said) -> NewRecord:
    record = event.record(tenant)
    return NewRecord(None, record.value, record.headers, 0)


async def test_every_poison_is_put_aside_once_and_its_neighbours_are_folded(rig: Rig) -> None:
    tenant = await rig.tenant()
    records, bad = [], []
    for i, record in enumerate(corpus(tenant).values()):
        records += [good(tenant, said(0, "deal.created", f"n{i}")), new(record)]
        bad.append(str(len(records) - 1))
    records.append(good(tenant, said(0, "deal.created", "last")))
    dead = await through_the_loop(rig, records)
    assert sorted(offset for offset, _ in dead) == sorted(bad)
    assert {code for _, code in dead} <= {"undecodable", "invalid"}, "nothing counts as our own bug"
    assert len((await rig.rows(tenant))["deals"]) == len(bad) + 1


@pytest.mark.parametrize("name", corpus("t"))
async def test_poison_is_known_before_anything_is_written(rig: Rig, name: str) -> None:
    """None of it needs the batch to be halved, but what only PostgreSQL's own limits refuse."""
    tenant = await rig.tenant()
    headers, value = corpus(tenant)[name]
    [buried] = await rig.handle([raw(headers, value)])
    assert buried.code in ("undecodable", "invalid")
    assert buried.detail


async def test_what_looks_odd_and_is_fine_is_kept(rig: Rig) -> None:
    tenant = await rig.tenant()
    long = b'{"' + b"k" * 300 + b'":[1.5e300,{}]}'
    odd = [
        poison(tenant, "deal.created", DEAL + b',"x":"\\u0000","name":"\\ud83d\\ude00"}'),
        poison(tenant, "deal.created", BOMB + b',"attributes":' + long + b"}"),
        poison(tenant, "weather.changed", b'{"x":"\\u0000"}'),
        poison(tenant, "weather.changed", b"1e300"),
    ]  # fmt: skip
    assert not await rig.handle([raw(headers, value) for headers, value in odd])
    rows = await rig.rows(tenant)
    assert len(rows["events"]) == 4
    assert len(await rig.records_of(tenant)) == len(rows["deals"]) == 2
