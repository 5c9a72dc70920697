"""What the measures over closes, visits and open deals share: who is counted, where, and when.

Each measure names its events (`events`): a deal, an instant `t0`, a `place` (a stage, a reason),
`what` happened, and what is measured of it. Here they get their dimensions and are counted.
"""

# ruff: noqa: S608 - the texts are built from constants of this package only

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from libs.common.measures.conversion import Credit
from libs.common.measures.scope import Filters, Instants, Parameters, Sql, dimensions, matching

Metric = Literal[
    "win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "flow", "stalled"
]  # fmt: skip
By = Literal["in_stage", "idle", "age"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A question. `home` is the tenant's currency, which amounts have that name none.

    `places` are the only stages that count, if any are given; `threshold` and `by` are of stalled
    deals alone.
    """

    metric: Metric
    pipeline_id: str
    currency: str
    home: str
    at: Instants
    start: datetime | None = None
    end: datetime | None = None
    credit: Credit = "at_event"
    group_by: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    borders: tuple[datetime, ...] = ()
    places: tuple[str, ...] = ()
    threshold: timedelta = timedelta()
    by: By = "in_stage"


@dataclass(frozen=True, slots=True)
class Events:
    """`events` CTEs of a measure; `whole` says that they hold deals only that are there."""

    text: str
    whole: bool


def ranged(asked: Measured, instant: str) -> str:
    """That an instant lies in the asked time and is not later than `valid_at`."""
    start = f" AND {instant} >= :start" if asked.start else ""
    end = f" AND {instant} < :end" if asked.end else ""
    return f"{instant} <= :valid_at{start}{end}"


def placed(asked: Measured, place: str) -> str:
    return f" AND {place} = ANY(CAST(:places AS text[]))" if asked.places else ""


def held(asked: Measured, row: str) -> str:
    """That a row of history holds at `valid_at`."""
    return f"""{row}.valid_from <= :valid_at AND {row}.valid_to > :valid_at
        AND {asked.at.known(row)}"""


def bound(asked: Measured) -> Parameters:
    """Every parameter that a statement of a measure names."""
    _, _, named = dimensions(asked.group_by)
    found: Parameters = {
        **asked.at.parameters,
        **named,
        **matching(asked.filters, "true").parameters,
        "pipeline_id": asked.pipeline_id,
        "currency": asked.currency,
        "home": asked.home,
    }
    optional = {"start": asked.start, "end": asked.end, "places": list(asked.places) or None}
    found |= {name: value for name, value in optional.items() if value is not None}
    return found | ({"threshold": asked.threshold} if asked.metric == "stalled" else {})


def counted(asked: Measured, events: Events) -> str:
    """CTEs up to `counted`: the events of deals that are there and fit, with their keys."""
    credited = "e.t0" if asked.credit == "at_event" else "CAST(:valid_at AS timestamptz)"
    g0, g1, _ = dimensions(asked.group_by)
    fits = matching(asked.filters, credited).text
    present = (
        ""
        if events.whole
        else f"""JOIN funnel_api.deal_history_v1 p
                ON p.deal_id = e.deal_id AND {held(asked, "p")}
                    AND p.status NOT IN ('deleted', 'merged')"""
    )
    return f"""WITH {events.text}, counted AS (
            SELECT e.*, {g0} AS g0, {g1} AS g1
            FROM events e JOIN funnel_api.deal_history_v1 h ON h.deal_id = e.deal_id
                AND h.valid_from <= {credited} AND h.valid_to > {credited}
                AND {asked.at.known("h")} {present}
            WHERE {fits}
        )"""


def extent(asked: Measured, events: Events) -> Sql:
    """When the first and the last event happened."""
    text = f"{counted(asked, events)} SELECT min(t0) AS earliest, max(t0) AS latest FROM counted"
    return Sql(text, bound(asked))


_PERIOD = "width_bucket(t0, CAST(:borders AS timestamptz[]))"


def numbers(asked: Measured, events: Events, figures: str) -> Sql:
    """One row per period, place and key, and one of everything (`everything` is 1)."""
    text = f"""{counted(asked, events)}, lined AS (SELECT c.*, {_PERIOD} AS period FROM counted c)
        SELECT grouping(period) AS everything, period, place, g0, g1,
            count(DISTINCT deal_id) AS n{figures}
        FROM lined GROUP BY GROUPING SETS ((period, place, g0, g1), ())"""
    return Sql(text, {**bound(asked), "borders": list(asked.borders)})


def sums(asked: Measured, events: Events) -> Sql:
    """Amounts by period, place, key, what and currency: exact, never mixed."""
    text = f"""{counted(asked, events)}, lined AS (SELECT c.*, {_PERIOD} AS period FROM counted c)
        SELECT period, place, g0, g1, what, currency, sum(amount) AS amount,
            count(*) FILTER (WHERE amount <> 0) AS valued
        FROM lined GROUP BY 1, 2, 3, 4, 5, 6"""
    return Sql(text, {**bound(asked), "borders": list(asked.borders)})


def deals(
    asked: Measured, events: Events, place: Sequence[str | None], key: Sequence[str | None],
    what: str | None,
) -> Sql:  # fmt: skip
    """The ids behind one number; the asked time is the row's period, `place` empty: everywhere."""
    terms = [f"g{i} IS NOT DISTINCT FROM CAST(:key_{i} AS text)" for i in range(len(key))]
    named: Parameters = {f"key_{i}": value for i, value in enumerate(key)}
    if place:
        terms.append("place IS NOT DISTINCT FROM CAST(:place AS text)")
        named["place"] = place[0]
    if what is not None:
        terms.append("what = :what")
        named["what"] = what
    where = " AND ".join(terms) or "true"
    text = f"{counted(asked, events)} SELECT DISTINCT deal_id FROM counted WHERE {where}"
    return Sql(text, {**bound(asked), **named})
