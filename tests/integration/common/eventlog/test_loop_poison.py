"""Records that can never succeed: found by halving, put aside whole, within a budget."""

from collections.abc import Sequence
from math import log2

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.eventlog.loop import Buried, DeadLetterBudgetExhausted, Poison
from libs.common.eventlog.port import Record
from tests.integration.common.eventlog.rig import TOPIC, Rig, name_of

pytestmark = pytest.mark.postgres
NAMES = [f"d{n:03}" for n in range(64)]


async def refuse_bad(_: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
    if any(name_of(record).startswith("bad") for record in records):
        raise Poison("one of these is bad")
    return ()


async def bury_bad(_: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
    return [Buried(r, "undecodable", "no JSON") for r in records if name_of(r).startswith("bad")]


async def test_poison_is_found_by_halving_and_its_neighbours_live_on(rig: Rig) -> None:
    rig.handler.misbehave = refuse_bad
    names = [*NAMES[:40], "bad", *NAMES[41:]]
    await rig.send(*names)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES[:40], *NAMES[41:])
    failed = [batch for batch in rig.handler.batches if "bad" in batch]
    assert len(failed) == log2(64) + 1
    assert [value for value, _ in await rig.dead()] == ["bad"]
    assert await rig.position() == 64


async def test_a_dead_letter_is_the_untouched_record_and_the_reason(rig: Rig) -> None:
    rig.handler.misbehave = refuse_bad
    await rig.send("good", "bad", partition=2)
    async with rig.running(rig.loop()):
        await rig.until_kept("good")
        await rig.until(lambda: _reached(rig, 2, 2))
    [(value, headers)] = await rig.dead()
    assert value == "bad"
    assert headers["ce_id"] == b"\x00\xff"
    assert headers["ce_tenantid"] == rig.tenant.encode()
    told = {name: headers[f"dlq.{name}"].decode() for name in (
        "original.topic", "original.partition", "original.offset", "consumer.group",
        "error.class", "error.message", "attempts")}  # fmt: skip
    assert told == {
        "original.topic": TOPIC,
        "original.partition": "2",
        "original.offset": "1",
        "consumer.group": rig.group,
        "error.class": "poison",
        "error.message": "Poison: one of these is bad",
        "attempts": "2",
    }
    assert headers["dlq.first.failed.at"]
    assert headers["dlq.service.version"]


async def _reached(rig: Rig, partition: int, offset: int) -> bool:
    return await rig.position(partition) == offset


async def test_what_the_handler_buries_needs_no_halving(rig: Rig) -> None:
    rig.handler.misbehave = bury_bad
    await rig.send("a", "bad1", "b", "bad2")
    async with rig.running(rig.loop()):
        await rig.until_kept("a", "b")
    assert rig.handler.batches == [["a", "bad1", "b", "bad2"]]
    assert [value for value, _ in await rig.dead()] == ["bad1", "bad2"]


async def test_a_row_that_postgresql_refuses_is_isolated(rig: Rig) -> None:
    """The second "twin" breaks a key, the NUL an encoding; both are the record's own fault."""
    await rig.send("a", "twin", "b", "twin", "c", "nul\0", "d")
    async with rig.running(rig.loop()):
        await rig.until(lambda: _reached(rig, 0, 7))
    assert await rig.kept() == ["a", "b", "c", "d", "twin"]
    letters = [(value, headers["dlq.error.class"]) for value, headers in await _dead_bytes(rig)]
    assert letters == [(b"twin", b"invalid"), (b"nul\0", b"invalid")]


async def _dead_bytes(rig: Rig) -> list[tuple[bytes, dict[str, bytes]]]:
    query = text(
        "SELECT value, header_names, header_values FROM funnel.outbox"
        " WHERE tenant_id = :tenant ORDER BY id"
    )
    async with rig.database.across_tenants() as tx:
        found = await tx.execute(query, {"tenant": rig.tenant})
        return [(r[0], dict(zip(r[1], r[2], strict=True))) for r in found]


async def test_too_much_poison_stops_the_loop_at_its_position(rig: Rig) -> None:
    rig.handler.misbehave = refuse_bad
    await rig.send("a", *(f"bad{n}" for n in range(9)), "b")
    with pytest.raises(DeadLetterBudgetExhausted, match="more than 3 dead letters within"):
        async with rig.running(rig.loop(dead_letters=3)) as task:
            await task
    assert [value for value, _ in await rig.dead()] == ["bad0", "bad1", "bad2"]
    assert await rig.kept() == ["a"]
    assert await rig.position() == 4


async def test_the_budget_also_holds_for_what_the_handler_buries(rig: Rig) -> None:
    async def bury_as_bug(_: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        return [Buried(r, "bug", "ours") for r in records if name_of(r).startswith("bad")]

    rig.handler.misbehave = bury_as_bug
    await rig.send("a", "bad1", "bad2")
    with pytest.raises(DeadLetterBudgetExhausted):
        async with rig.running(rig.loop(dead_letters=1)) as task:
            await task
    assert await rig.kept() == []
    assert await rig.position() == 0


async def test_a_senders_own_contradictions_cannot_stop_everybody(rig: Rig) -> None:
    async def bury_all(_: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        return [Buried(r, "conflict", "another body") for r in records if name_of(r) != "end"]

    rig.handler.misbehave = bury_all
    await rig.send(*NAMES, "end")
    async with rig.running(rig.loop(dead_letters=1)):
        await rig.until_kept("end")
    assert len(await rig.dead()) == len(NAMES)


async def test_one_tenants_rubbish_cannot_stop_everybody(rig: Rig) -> None:
    """Should the door ever take what the consumer cannot read: that is one tenant's trouble."""
    rig.handler.misbehave = bury_bad
    await rig.send(*(f"bad{n}" for n in range(60)), "end")
    async with rig.running(rig.loop(dead_letters=10, max_records=7)):
        await rig.until_kept("end")
    assert len(await rig.dead()) == 60


async def test_a_failed_attempt_costs_no_budget(rig: Rig) -> None:
    """Each half is tried again; only what is committed counts."""

    async def bury_and_fail(tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        if len(records) > 1:
            raise Poison("only one by one")
        return await bury_bad(tx, records)

    rig.handler.misbehave = bury_and_fail
    await rig.send("bad1", "a", "b", "c", "bad2", "d", "e", "f")
    async with rig.running(rig.loop(dead_letters=2)):
        await rig.until_kept("a", "b", "c", "d", "e", "f")
    assert len(await rig.dead()) == 2


async def test_a_statement_that_is_wrong_blames_no_record(rig: Rig) -> None:
    async def ask_nonsense(tx: AsyncConnection, _: Sequence[Record]) -> Sequence[Buried]:
        await tx.execute(text("SELECT * FROM funnel.no_such_table"))
        return ()

    rig.handler.misbehave = ask_nonsense
    await rig.send("a", "b")
    with pytest.raises(ProgrammingError, match="no_such_table"):
        async with rig.running(rig.loop()) as task:
            await task
    assert await rig.dead() == []
    assert await rig.position() == 0
