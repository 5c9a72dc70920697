"""Query parameters of the measures: strict texts in, a parsed question out."""

from functools import cache
from typing import Annotated, cast, get_args
from zoneinfo import available_timezones

from fastapi import Depends, Query

from libs.common.contracts.currencies import CURRENCIES
from libs.common.contracts.values import day_in_range, day_text
from libs.common.measures.conversion import Credit
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import INTERVALS, Interval
from libs.common.measures.scope import Filters, check_dimensions
from libs.common.web.deal_filters import OneOf, lists
from libs.common.web.errors import NotSupportedYet
from libs.common.web.params import Many, One, amount, choice, length, parsed, text
from libs.common.web.query import instant, refused
from services.reporting.domain.questions import Cohort, Common, Moment, Ranges

MODES = ("reached", "strict", "furthest", "visited")
FX = ("close", "spot", "budget")


def filters(
    one_of: Annotated[OneOf, Depends(lists)],
    amount_gte: One = None,
    amount_lte: One = None,
    idle_gte: One = None,
    in_stage_gte: One = None,
    q: One = None,
) -> Filters:
    """Which deals count."""
    if idle_gte is not None:
        raise NotSupportedYet("idle_gte is answered by /v1/deals so far")
    return Filters(
        one_of=one_of,
        amount_gte=parsed("amount_gte", amount_gte, amount),
        amount_lte=parsed("amount_lte", amount_lte, amount),
        in_stage_gte=parsed("in_stage_gte", in_stage_gte, length),
        name_contains=text("q", q),
    )


def ranges(
    created_from: One = None,
    created_to: One = None,
    closed_from: One = None,
    closed_to: One = None,
) -> Ranges:
    """Which deals count, by times that may be days of the asked zone."""
    return Ranges(
        created_from=parsed("created_from", created_from, _moment),
        created_to=parsed("created_to", created_to, _moment),
        closed_from=parsed("closed_from", closed_from, _moment),
        closed_to=parsed("closed_to", closed_to, _moment),
    )


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
        start=parsed("from", from_, _moment),
        end=parsed("to", to, _moment),
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


def _moment(value: str, name: str) -> Moment:
    """A day of the asked zone, or an instant."""
    if len(value) > len("2017-03-01"):
        return instant(value, name)
    return day_in_range(day_text(value))
