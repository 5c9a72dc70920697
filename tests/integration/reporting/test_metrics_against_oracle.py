"""The SQL of the metrics equals plain Python over the same histories, deal by deal."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.measures import metrics as sql
from libs.common.measures.counted import Measured, Metric
from libs.common.measures.metrics import EXITS, PLACES
from libs.common.measures.periods import Calendar, periods
from libs.common.measures.scope import Filters, Instants
from services.reporting.adapters.reads import TransactionReads
from services.reporting.app.ports import Record
from tests.integration.reporting import oracle_metrics as oracle
from tests.integration.reporting.histories import DealPast, Pipeline, Step, at, version
from tests.integration.reporting.oracle_metrics import Event, Place
from tests.integration.reporting.test_measures_against_oracle import (
    CHECKED,
    FACTS,
    HOURS,
    ZONE,
    holding,
    ids,
)

pytestmark = pytest.mark.postgres
PIPELINE = Pipeline()
REASONS = st.tuples(st.just("lost_reason"), st.sampled_from(["price", "fit", None]))
STEPS = st.builds(
    Step,
    time=HOURS.map(at),
    stage=st.sampled_from([*oracle.ORDER, "won", "lost", None]),
    pipeline=st.sampled_from(["b2b"] * 6 + ["renewal"]),
    facts=st.lists(FACTS | REASONS, max_size=2).map(tuple),
)


@st.composite
def pasts(draw: st.DrawFn) -> list[DealPast]:
    """Deals whose later versions know other steps than the earlier ones."""
    found = []
    for number in range(draw(st.integers(0, 10))):
        known = sorted(draw(st.sets(st.integers(0, 3), min_size=1, max_size=2)))
        steps = [draw(st.lists(STEPS, min_size=1, max_size=6)) for _ in known]
        held = tuple(
            version(at(2_400 * k), sorted(told, key=lambda step: step.time), PIPELINE)
            for k, told in zip(known, steps, strict=True)
        )
        found.append(DealPast(f"D-{number:02}", held))
    return found


DAYS = st.integers(0, 120).map(lambda day: at(24 * day))
QUESTIONS = st.builds(
    oracle.Asked,
    metric=st.sampled_from(get_args(Metric)),
    valid_at=st.just(at(24 * 121)) | HOURS.map(at),
    known_at=st.none() | st.integers(0, 24 * 400).map(at),
    start=st.none() | DAYS,
    end=st.none() | DAYS,
    credit=st.sampled_from(["at_event", "current"]),
    group_by=st.lists(
        st.sampled_from(["owner_id", "region", "attributes.tier"]), unique=True, max_size=2
    ).map(tuple),
    owners=st.none() | st.just(("u1", "u2")),
    threshold=st.integers(0, 24 * 60).map(lambda hours: timedelta(hours=hours)),
    by=st.sampled_from(["in_stage", "age"]),
)


def asked(question: oracle.Asked, borders: Iterable[datetime]) -> Measured:
    of = {name: getattr(question, name) for name in ("metric", "start", "end", "credit", "by")}
    if question.metric == "stalled":  # of one instant
        of |= {"start": None, "end": None}
    return Measured(
        pipeline_id="b2b",
        currency="EUR",
        home="EUR",
        at=Instants(question.valid_at, question.known_at),
        group_by=question.group_by,
        filters=Filters(one_of={"owner_id": question.owners} if question.owners else {}),
        borders=tuple(borders),
        threshold=question.threshold,
        **of,
    )


@CHECKED
@given(deals=pasts(), question=QUESTIONS)
async def test_metrics_of_one_period_equal_the_oracle(
    database_url: str, deals: list[DealPast], question: oracle.Asked
) -> None:
    if question.metric == "stalled":
        question = replace(question, start=None, end=None)
    expected = oracle.cells(question, deals, lambda _: None)
    measured = asked(question, ())
    async with holding(database_url, deals) as reads:
        records, whole = await _numbers(reads, measured)
        found = {_place(measured, None, record): record for record in records}
        assert set(found) == set(expected)
        for place, events in expected.items():
            _same(measured, found[place], events)
            await _lists(reads, measured, place, events)
        _same(measured, whole, [event for events in expected.values() for event in events])
        if measured.metric in sql.WITH_AMOUNTS:
            assert await _sums(reads, measured) == _added(expected)


@CHECKED
@given(deals=pasts(), question=QUESTIONS)
async def test_metrics_by_month_equal_the_oracle(
    database_url: str, deals: list[DealPast], question: oracle.Asked
) -> None:
    question = replace(question, start=at(100), end=at(2000))
    if question.metric == "stalled":
        question = replace(question, metric="flow")
    months = periods(Calendar(ZONE), "month", at(100), at(2000))
    expected = oracle.cells(question, deals, lambda t: f"{t.astimezone(ZONE):%Y-%m}")
    measured = asked(question, [month.start for month in months])
    async with holding(database_url, deals) as reads:
        records, _ = await _numbers(reads, measured)
    found = {_place(measured, months[r["period"] - 1].label, r): r for r in records}
    assert set(found) == set(expected)
    for place, events in expected.items():
        _same(measured, found[place], events)


async def _numbers(reads: TransactionReads, measured: Measured) -> tuple[list[Record], Record]:
    records = await reads.run(sql.numbers(measured))
    (whole,) = [record for record in records if record["everything"]]
    return [record for record in records if not record["everything"]], whole


def _place(measured: Measured, period: str | None, record: Record) -> Place:
    key = (record["g0"], record["g1"])[: len(measured.group_by)]
    return period, record["place"] if measured.metric in PLACES else None, key


def _same(measured: Measured, record: Record, events: list[Event]) -> None:
    """Every number of one row."""
    assert record["n"] == len({event.deal for event in events})
    for what in {"won", "lost", "open", "entered", *EXITS} & set(record):
        assert record[what] == sum(event.what == what for event in events), what
    if measured.metric == "dwell":
        assert record["visits"] == len(events)
    if measured.metric in ("dwell", "sales_cycle"):
        _spread(record, [e.seconds for e in events if e.seconds is not None])
    if measured.metric == "deal_size":
        _spread(record, [float(e.amount) for e in events if e.amount and e.currency == "EUR"])


def _spread(record: Record, values: list[float]) -> None:
    if not values:
        assert (record["mean"], record["quantiles"]) == (None, None)
        return
    assert float(record["mean"]) == pytest.approx(sum(values) / len(values))
    assert record["quantiles"] == pytest.approx([_quantile(values, p) for p in (0.5, 0.75, 0.9)])


def _quantile(values: list[float], share: float) -> float:
    """Type 7: linear between the neighbours."""
    ordered, place = sorted(values), share * (len(values) - 1)
    below, above = ordered[int(place)], ordered[min(int(place) + 1, len(values) - 1)]
    return below + (above - below) * (place - int(place))


async def _lists(
    reads: TransactionReads, measured: Measured, place: Place, events: list[Event]
) -> None:
    _, where, key = place
    row = (where,) if measured.metric in PLACES else ()
    for what in (None, "won", "lost") if measured.metric == "win_rate" else (None,):
        wanted = {event.deal for event in events if what in (None, event.what)}
        assert await ids(reads, sql.deals(measured, row, key, what)) == wanted


Sums = dict[tuple[Any, ...], Decimal]


async def _sums(reads: TransactionReads, measured: Measured) -> Sums:
    return {
        (*_place(measured, None, record), record["what"], record["currency"]): record["amount"]
        for record in await reads.run(sql.sums(measured))
        if record["amount"] is not None
    }


def _added(expected: dict[Place, list[Event]]) -> Sums:
    found: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for place, events in expected.items():
        for event in events:
            if event.amount is not None:
                found[*place, event.what, event.currency] += event.amount
    return dict(found)
