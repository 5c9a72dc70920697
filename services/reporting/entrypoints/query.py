"""Query parameters of the measures: strict texts in, a parsed question out."""

from functools import cache
from typing import Annotated, cast, get_args
from zoneinfo import available_timezones

from fastapi import Depends, Query

from libs.common.contracts.currencies import CURRENCIES
from libs.common.measures.conversion import Credit
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import INTERVALS, Interval
from libs.common.measures.scope import Filters, check_dimensions
from libs.common.web import deal_filters
from libs.common.web.errors import NotSupportedYet
from libs.common.web.params import Many, One, choice, length, parsed, text
from libs.common.web.query import instant, refused
from services.reporting.domain.questions import Cohort, Common, Moment, Ranges

MODES = ("reached", "strict", "furthest", "visited")
FX = ("close", "spot", "budget")


def filters(
    chosen: Annotated[Filters, Depends(deal_filters.filters)], idle_gte: One = None
) -> Filters:
    """Which deals count."""
    if idle_gte is not None:
        raise NotSupportedYet("idle_gte is answered by /v1/deals so far")
    return chosen


def ranges(within: Annotated[dict[str, Moment], Depends(deal_filters.moments)]) -> Ranges:
    """Which deals count, by times that may be days of the asked zone."""
    return Ranges(**within)


def common(
    chosen: Annotated[Filters, Depends(filters)],
    within: Annotated[Ranges, Depends(ranges)],
    pipeline_id: One = None,
    from_: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    to: Annotated[str | None, Query(max_length=64)] = None,
    interval: One = None,
    group_by: Many = None,
    tz: One = None,
    valid_at: One = None,
    known_at: One = None,
    credit: One = None,
    currency: One = None,
    fx: One = None,
) -> Common:
    """The parameters of every measure."""
    return Common(
        pipeline_id=text("pipeline_id", pipeline_id),
        start=parsed("from", from_, deal_filters.moment),
        end=parsed("to", to, deal_filters.moment),
        interval=cast(Interval, choice("interval", interval, INTERVALS, "none")),
        group_by=_dimensions(group_by),
        filters=chosen,
        ranges=within,
        zone=choice("tz", tz, zones(), None),
        valid_at=parsed("valid_at", valid_at, instant),
        known_at=parsed("known_at", known_at, instant),
        credit=cast(Credit, choice("credit", credit, get_args(Credit), "at_event")),
        currency=choice("currency", currency, CURRENCIES, None),
        fx=choice("fx", fx, FX, "close"),
    )


def cohort(mode: One = None, window: One = None, first_stage: One = None) -> Cohort:
    """What only a conversion takes."""
    if choice("mode", mode, MODES, "reached") != "reached":
        raise NotSupportedYet("mode reached is the only one so far")
    limit = None if window == "none" else parsed("window", window, length)
    return Cohort(limit, text("first_stage", first_stage))


@cache
def zones() -> frozenset[str]:
    """IANA names; never a path."""
    return frozenset(available_timezones())


def _dimensions(given: list[str] | None) -> tuple[str, ...]:
    names = [name.strip() for value in given or () for name in value.split(",")]
    for name in names:
        text("group_by", name)
    try:
        return check_dimensions(names)
    except MeasureRefused as refusal:
        raise refused(refusal.parameter, refusal.detail, refusal.code) from None
