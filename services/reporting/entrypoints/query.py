"""Query parameters of the measures: strict texts in, a parsed question out."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, TypeVar, cast, get_args
from zoneinfo import available_timezones

from fastapi import Depends, Query

from libs.common.contracts.currencies import CURRENCIES
from libs.common.contracts.values import clean_text, day_in_range, day_text, decimal_text
from libs.common.measures.conversion import Credit
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import INTERVALS, Interval
from libs.common.measures.scope import STATUSES, Filters, check_dimensions
from libs.common.web.errors import NotSupportedYet
from libs.common.web.query import duration, instant, refused
from services.reporting.domain.questions import Cohort, Common, Moment, Ranges

Many = Annotated[list[str] | None, Query(max_length=200)]
One = Annotated[str | None, Query(max_length=200)]
OneOf = dict[str, tuple[str, ...]]
LONGEST = timedelta(days=36_525)
MODES = ("reached", "strict", "furthest", "visited")
FX = ("close", "spot", "budget")
T = TypeVar("T")


def lists(
    stage_id: Many = None,
    status: Many = None,
    owner_id: Many = None,
    team_id: Many = None,
    account_id: Many = None,
    region: Many = None,
    product_line: Many = None,
    customer_type: Many = None,
    industry: Many = None,
    source: Many = None,
    channel_partner_id: Many = None,
) -> OneOf:
    """The filters that may be given several times (FastAPI documents all from the signatures)."""
    given = {
        "stage_id": stage_id, "status": status, "owner_id": owner_id, "team_id": team_id,
        "account_id": account_id, "region": region, "product_line": product_line,
        "customer_type": customer_type, "industry": industry, "source": source,
        "channel_partner_id": channel_partner_id,
    }  # fmt: skip
    return _one_of(given)


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
        amount_gte=_parsed("amount_gte", amount_gte, _amount),
        amount_lte=_parsed("amount_lte", amount_lte, _amount),
        in_stage_gte=_parsed("in_stage_gte", in_stage_gte, _length),
        name_contains=_text("q", q),
    )


def ranges(
    created_from: One = None,
    created_to: One = None,
    closed_from: One = None,
    closed_to: One = None,
) -> Ranges:
    """Which deals count, by times that may be days of the asked zone."""
    return Ranges(
        created_from=_parsed("created_from", created_from, _moment),
        created_to=_parsed("created_to", created_to, _moment),
        closed_from=_parsed("closed_from", closed_from, _moment),
        closed_to=_parsed("closed_to", closed_to, _moment),
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
        pipeline_id=_text("pipeline_id", pipeline_id),
        start=_parsed("from", from_, _moment),
        end=_parsed("to", to, _moment),
        interval=cast(Interval, _choice("interval", interval, INTERVALS, "none")),
        group_by=_dimensions(group_by),
        filters=chosen,
        ranges=within,
        zone=_choice("tz", tz, zones(), None),
        valid_at=_parsed("valid_at", valid_at, instant),
        known_at=_parsed("known_at", known_at, instant),
        credit=cast(Credit, _choice("credit", credit, get_args(Credit), "at_event")),
        currency=_choice("currency", currency, CURRENCIES, None),
        fx=_choice("fx", fx, FX, "close"),
    )


def cohort(mode: One = None, window: One = None, first_stage: One = None) -> Cohort:
    """What only a conversion takes."""
    if _choice("mode", mode, MODES, "reached") != "reached":
        raise NotSupportedYet("mode reached is the only one so far")
    length = None if window == "none" else _parsed("window", window, _length)
    return Cohort(length, _text("first_stage", first_stage))


@cache
def zones() -> frozenset[str]:
    """IANA names; never a path."""
    return frozenset(available_timezones())


def _choice(
    name: str, value: str | None, allowed: frozenset[str] | tuple[str, ...], default: T
) -> str | T:
    if value is None:
        return default
    if value not in allowed:
        some = ", ".join(allowed) if isinstance(allowed, tuple) else "a known name"
        raise refused(name, f"must be one of: {some}")
    return value


def _text(name: str, value: str | None) -> str | None:
    return _parsed(name, value, _present)


def _present(value: str, _: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return clean_text(value)


def _one_of(given: dict[str, list[str] | None]) -> OneOf:
    found = {
        name: tuple(cast(str, _text(name, value)) for value in values)
        for name, values in given.items()
        if values
    }
    for status in found.get("status", ()):
        _choice("status", status, STATUSES, None)
    return found


def _dimensions(given: list[str] | None) -> tuple[str, ...]:
    names = [name.strip() for value in given or () for name in value.split(",")]
    for name in names:
        _text("group_by", name)
    try:
        return check_dimensions(names)
    except MeasureRefused as refusal:
        raise refused(refusal.parameter, refusal.detail, refusal.code) from None


def _parsed(name: str, value: str | None, parse: Callable[[str, str], T]) -> T | None:
    """Parse a parameter; whatever is wrong with it is said under its name."""
    if value is None:
        return None
    try:
        return parse(value, name)
    except ValueError as error:
        raise refused(name, str(error)) from None


def _moment(value: str, name: str) -> Moment:
    """A day of the asked zone, or an instant."""
    if len(value) > len("2017-03-01"):
        return instant(value, name)
    return day_in_range(day_text(value))


def _length(value: str, name: str) -> timedelta:
    found = duration(value, name)
    if found > LONGEST:
        raise ValueError("must be at most 100 years")
    return found


def _amount(value: str, _: str) -> Decimal:
    return decimal_text(value)
