"""The SQL of the measures equals plain Python over the same histories, deal by deal."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.db.database import Database
from libs.common.measures import conversion as conversion_sql
from libs.common.measures import snapshot as snapshot_sql
from libs.common.measures.conversion import Cell, Conversion
from libs.common.measures.periods import Calendar, Period, enclosing, periods
from libs.common.measures.scope import Filters, Instants, Sql
from libs.common.measures.snapshot import Snapshot
from services.reporting.adapters.reads import TransactionReads
from services.reporting.app.ports import Record
from services.reporting.domain import snapshot_rows
from tests.integration.reporting import oracle
from tests.integration.reporting.histories import (
    DealPast,
    Pipeline,
    Step,
    Version,
    at,
    version,
    write_deals,
    write_generation,
    write_pipeline,
    write_tenant,
)

pytestmark = pytest.mark.postgres
PIPELINE = Pipeline()
STAGES = tuple(stage for stage, kind in PIPELINE.stages if kind != "lost")
ZONE = ZoneInfo("America/Sao_Paulo")
TENANTS = (f"t{number}" for number in itertools.count())
HOURS = st.integers(0, 24 * 120)
FACTS = st.sampled_from(
    [
        ("owner_id", "u1"),
        ("owner_id", "u2"),
        ("owner_id", None),
        ("region", "north"),
        ("attributes", {"tier": "gold", "seats": 7}),
        ("amount", Decimal("12.50")),
        ("amount", Decimal(0)),
        ("currency", "EUR"),
        ("currency", "USD"),
        ("status", "deleted"),
        ("status", "merged"),
        ("status", "open"),
    ]
)
STEPS = st.builds(
    Step,
    time=HOURS.map(at),
    stage=st.sampled_from([stage for stage, _ in PIPELINE.stages] + [None]),
    pipeline=st.sampled_from(["b2b"] * 5 + ["renewal"]),
    facts=st.lists(FACTS, max_size=2).map(tuple),
)


@st.composite
def pasts(draw: st.DrawFn) -> list[DealPast]:
    """Deals whose later versions know other steps than the earlier ones."""
    found = []
    for number in range(draw(st.integers(0, 12))):
        known = sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=3)))
        held = tuple(_held(at(24 * 100 * k), draw(st.lists(STEPS, min_size=1))) for k in known)
        found.append(DealPast(f"D-{number:02}", held))
    return found


def _held(known_from: datetime, steps: list[Step]) -> Version:
    return version(known_from, sorted(steps, key=lambda step: step.time), PIPELINE)


QUESTIONS = st.builds(
    oracle.Question,
    pipeline=st.just(PIPELINE),
    first_stage=st.sampled_from(STAGES),
    valid_at=HOURS.map(at),
    known_at=st.none() | st.integers(0, 24 * 600).map(at),
    start=st.none() | HOURS.map(at),
    end=st.none() | HOURS.map(at),
    window=st.none() | st.integers(0, 24 * 30).map(lambda hours: timedelta(hours=hours)),
    credit=st.sampled_from(["at_event", "current"]),
    group_by=st.lists(
        st.sampled_from(["owner_id", "region", "attributes.tier"]), unique=True, max_size=2
    ).map(tuple),
    owners=st.none() | st.just(("u1", "u2")),
)
CHECKED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@asynccontextmanager
async def holding(url: str, deals: list[DealPast]) -> AsyncIterator[TransactionReads]:
    """A new tenant with these deals, read as reporting reads it."""
    tenant = next(TENANTS)
    connection = await asyncpg.connect(url)
    try:
        await write_tenant(connection, tenant)
        await write_generation(connection, tenant)
        await write_pipeline(connection, tenant, PIPELINE)
        await write_deals(connection, tenant, deals)
    finally:
        await connection.close()
    database = Database(url, "headway_reporting_api")
    async with database.for_tenant(tenant, snapshot=True) as tx:
        yield TransactionReads(tx)
    await database.close()


def asked(question: oracle.Question) -> Conversion:
    owners = {"owner_id": question.owners} if question.owners else {}
    return Conversion(
        pipeline_id="b2b",
        first_stage=question.first_stage,
        stages=STAGES,
        at=Instants(question.valid_at, question.known_at),
        start=question.start,
        end=question.end,
        window=question.window,
        credit="current" if question.credit == "current" else "at_event",
        group_by=question.group_by,
        filters=Filters(one_of=owners),
    )


async def ids(reads: TransactionReads, sql: Sql) -> set[str]:
    found = [row["deal_id"] for row in await reads.run(sql)]
    assert len(found) == len(set(found))
    return set(found)


@CHECKED
@given(deals=pasts(), question=QUESTIONS)
async def test_conversion_of_one_period_equals_the_oracle(
    database_url: str, deals: list[DealPast], question: oracle.Question
) -> None:
    expected = oracle.conversion(question, deals, lambda _: None)
    async with holding(database_url, deals) as reads:
        records = await reads.run(conversion_sql.counts(asked(question)))
        found = {(r["g0"], r["g1"])[: len(question.group_by)]: r for r in records}
        assert set(found) == {key for _, key in expected}
        for (_, key), cohort in expected.items():
            await _same(reads, asked(question), key, found[key], cohort)


async def _same(
    reads: TransactionReads,
    question: Conversion,
    key: oracle.Key,
    record: Record,
    cohort: oracle.Cohort,
) -> None:
    """Every number, and the deals listed behind it."""

    async def check(expected: set[str], column: str | None, number: str, stage: int | None) -> None:
        assert column is None or record[column] == len(expected), (number, stage)
        assert (
            await ids(reads, conversion_sql.deals(question, Cell(key, number, stage))) == expected
        )

    await check(cohort.n, "n", "n", None)
    await check(cohort.won, "won", "won", None)
    await check(cohort.lost, "lost", "lost", None)
    await check(cohort.n - cohort.won - cohort.lost, None, "open", None)
    for i, stage in enumerate(STAGES):
        await check(cohort.reached[stage], f"r{i}", "reached", i)
        if i:
            await check(cohort.pairs[stage], f"p{i}", "from_previous", i)
            assert cohort.pairs[stage] <= cohort.reached[STAGES[i - 1]]


@CHECKED
@given(deals=pasts(), question=QUESTIONS, interval=st.sampled_from(["day", "month"]))
async def test_conversion_by_period_equals_the_oracle(
    database_url: str, deals: list[DealPast], question: oracle.Question, interval: str
) -> None:
    question = replace(question, start=at(100), end=at(2000))
    calendar = Calendar(ZONE)
    spelled: Callable[[datetime], str] = (
        (lambda t: f"{t.astimezone(ZONE):%Y-%m-%d}")
        if interval == "day"
        else (lambda t: f"{t.astimezone(ZONE):%Y-%m}")
    )
    expected = oracle.conversion(question, deals, spelled)
    found = periods(calendar, "day" if interval == "day" else "month", at(100), at(2000))
    borders = tuple(period.start for period in found)
    async with holding(database_url, deals) as reads:
        sql = conversion_sql.counts(replace(asked(question), borders=borders))
        records = await reads.run(sql)
    numbers = {
        (found[r["period"] - 1].label, (r["g0"], r["g1"])[: len(question.group_by)]): (
            r["n"], r["won"], r["lost"], *(r[f"r{i}"] for i in range(len(STAGES)))
        )
        for r in records
    }  # fmt: skip
    assert numbers == {
        cell: (len(c.n), len(c.won), len(c.lost), *(len(c.reached[s]) for s in STAGES))
        for cell, c in expected.items()
    }


@CHECKED
@given(
    deals=pasts(),
    valid_at=HOURS.map(at),
    known_at=st.none() | st.integers(0, 24 * 600).map(at),
    statuses=st.sampled_from([("open",), ("won", "lost"), ("deleted",)]),
    group_by=st.sampled_from([(), ("owner_id",), ("region", "attributes.seats")]),
)
async def test_snapshot_equals_the_oracle(
    database_url: str,
    deals: list[DealPast],
    valid_at: datetime,
    known_at: datetime | None,
    statuses: tuple[str, ...],
    group_by: tuple[str, ...],
) -> None:
    question = Snapshot("b2b", "EUR", Instants(valid_at, known_at), statuses, group_by)
    expected = oracle.snapshot("b2b", valid_at, known_at, deals, statuses, group_by)
    async with holding(database_url, deals) as reads:
        records = await reads.run(snapshot_sql.stock(question))
        stock = snapshot_rows.by_place(question, "EUR", records)
        assert set(stock) == set(expected)
        for place, (members, sums, age) in expected.items():
            assert stock[place].deals == len(members)
            assert dict(stock[place].sums) == sums
            mean = float(stock[place].age_seconds) / len(members) / 86_400
            assert mean == pytest.approx(age, abs=1e-6)
            assert await ids(reads, snapshot_sql.deals(question, place[0], place[1:])) == members
        everything = set().union(*(members for members, _, _ in expected.values()))
        assert await ids(reads, snapshot_sql.all_deals(question)) == everything


def test_a_period_is_the_one_that_encloses_its_start() -> None:
    calendar = Calendar(ZONE)
    whole = enclosing(calendar, "month", datetime(2017, 2, 10, tzinfo=UTC))
    assert whole == Period(
        "2017-02", datetime(2017, 2, 1, 2, tzinfo=UTC), datetime(2017, 3, 1, 3, tzinfo=UTC)
    )
