"""From records to cells: every deal in one row of each, shares of one whole, amounts added up."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from libs.common.measures.counted import Measured, Metric
from libs.common.measures.metrics import PLACES
from libs.common.measures.periods import Period
from libs.common.measures.scope import Instants
from services.reporting.domain.facts import Stage
from services.reporting.domain.metric_cells import Cell, cells
from services.reporting.domain.metric_figures import Counted, figures

AT = datetime(2017, 6, 1, tzinfo=UTC)
MONTHS = tuple(
    Period(f"2017-0{n}", AT.replace(month=n), AT.replace(month=n + 1)) for n in range(1, 5)
)
Deal = tuple[int, str | None, str | None, str, Decimal]
"""Its period, its reason, its owner, how it ended and its amount in euros."""
DEALS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["price", "fit", None]),
        st.sampled_from(["u1", "u2", None]),
        st.sampled_from(["won", "lost"]),
        st.integers(0, 900).map(lambda cents: Decimal(cents) / 100),
    ),
    max_size=40,
)


def asked(metric: Metric, *group_by: str) -> Measured:
    return Measured(metric, "b2b", "EUR", "EUR", Instants(AT), group_by=group_by)


def answered(question: Measured, deals: list[Deal]) -> tuple[list[Cell], Counted]:
    """As the database would count them."""
    placed = question.metric in PLACES
    keys = [
        (period, reason if placed else None, owner if question.group_by else None)
        for period, reason, owner, _, _ in deals
    ]
    numbers = [_record(key, [d for d, k in zip(deals, keys, strict=True) if k == key])
               for key in set(keys)]  # fmt: skip
    whole = {**_record((0, None, None), deals), "everything": 1}
    sums = [
        {**_record(key, [deal]), "what": deal[3], "currency": "EUR", "amount": deal[4]}
        for key, deal in _summed(keys, deals)
    ]
    return cells(question, MONTHS, [*numbers, whole], sums, [Stage("price", "Price", "open")])


def _record(key: tuple[int, str | None, str | None], deals: list[Deal]) -> dict[str, Any]:
    how, (period, place, owner) = Counter(deal[3] for deal in deals), key
    return {
        "everything": 0, "period": period, "place": place, "g0": owner, "g1": None,
        "n": len(deals), "won": how["won"], "lost": how["lost"],
        "valued": sum(deal[4] != 0 for deal in deals),
    }  # fmt: skip


def _summed(keys: list[Any], deals: list[Deal]) -> list[tuple[Any, Deal]]:
    """One deal per key and outcome, with the amounts of all of them."""
    sums: dict[Any, Decimal] = {}
    for key, deal in zip(keys, deals, strict=True):
        sums[key, deal[3]] = sums.get((key, deal[3]), Decimal(0)) + deal[4]
    return [(key, (*key, how, amount)) for (key, how), amount in sums.items()]


@given(DEALS)
def test_rows_of_a_win_rate_add_up_to_its_total(deals: list[Deal]) -> None:
    question = asked("win_rate", "owner_id")
    listed, total = answered(question, deals)
    for name in ("n", "won", "lost"):
        assert sum(c.counted.count(name) for c in listed) == total.count(name)
    assert total.of() == ({"EUR": sum(deal[4] for deal in deals)} if deals else {})
    shown = [figures(question, cell.counted) for cell in listed]
    assert all(row["won"] + row["lost"] == row["n"] for row in shown)
    assert all((row["value"] is None) == (row["n"] == 0) for row in shown)
    assert all(row["low"] <= row["value"] <= row["high"] for row in shown if row["n"])


@given(DEALS)
def test_shares_of_reasons_add_up_to_one_per_period_and_key(deals: list[Deal]) -> None:
    question = asked("loss_reasons", "owner_id")
    listed, total = answered(question, deals)
    shares: Counter[Any] = Counter()
    for cell in listed:
        found, label = figures(question, cell.counted), cast(Period, cell.period).label
        some = any(d[0] == int(label[-1]) and d[2] == cell.key[0] for d in deals)
        assert (found["value"] is not None) == some
        shares[label, cell.key] += found["value"] or 0
    assert all(share == 0 or abs(share - 1) < 1e-9 for share in shares.values())
    assert sum(cell.counted.n for cell in listed) == total.n == len(deals)


@given(DEALS)
def test_every_key_is_listed_in_every_period_once_and_in_order(deals: list[Deal]) -> None:
    listed, _ = answered(asked("loss_reasons", "owner_id"), deals)
    places = [(cast(Period, c.period).label, c.place, c.key) for c in listed]
    assert len(set(places)) == len(places)
    first, last = (min(d[0] for d in deals), max(d[0] for d in deals)) if deals else (1, 0)
    found = {(d[1], d[2]) for d in deals}
    assert len(places) == (last - first + 1) * len(found)
    spelled = [tuple((v is None, v) for v in (p[0], *p[1], *p[2])) for p in places]
    assert spelled == sorted(spelled, key=lambda s: [(none, value or "") for none, value in s])


def test_stages_go_in_the_pipelines_order_and_unknown_ones_last() -> None:
    rows = [
        {"everything": 0, "period": 0, "place": place, "g0": None, "g1": None, "n": 1}
        for place in ("a", "old", "z", None)
    ]
    stages = [Stage(name, name.title(), "open") for name in ("z", "a")]
    listed, _ = cells(asked("stalled"), None, rows, (), stages)
    assert [cell.place[0] for cell in listed] == ["z", "a", "old", None]
    assert listed[0].shown_key(asked("stalled")) == {"stage_id": "z"}


def test_a_cell_asks_for_its_own_period() -> None:
    question = asked("win_rate")
    inside = Cell(MONTHS[1], (), (), Counted()).within(question)
    assert (inside.start, inside.end) == (MONTHS[1].start, MONTHS[1].end)
    assert Cell(None, (), (), Counted()).within(question) is question
