"""Query parameters of the deal reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends

from libs.common.contracts.values import day_in_range, day_text
from libs.common.measures.scope import Filters
from libs.common.web.deal_filters import OneOf, lists, one_of
from libs.common.web.params import Many, One, amount, length, parsed, text
from libs.common.web.query import instant, refused, sort_keys
from services.funnel.app.deal_question import NOW_ONLY, SORTS, At, DealQuestion

MAX_SORT = 3


def instants(valid_at: One = None, known_at: One = None) -> At:
    """The two instants of a read; both left out: now."""
    return At(parsed("valid_at", valid_at, instant), parsed("known_at", known_at, instant))


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of times, as instants or as days of the tenant's zone."""

    instants: Mapping[str, datetime]
    days: tuple[tuple[str, date], ...]


def ranges(
    created_from: One = None,
    created_to: One = None,
    closed_from: One = None,
    closed_to: One = None,
) -> Ranges:
    """Half-open: `from` is in, `to` is out."""
    given = {
        "created_from": created_from, "created_to": created_to,
        "closed_from": closed_from, "closed_to": closed_to,
    }  # fmt: skip
    moments = {name: parsed(name, value, _moment) for name, value in given.items()}
    return Ranges(
        {name: at for name, at in moments.items() if isinstance(at, datetime)},
        tuple((n, at) for n, at in moments.items() if at and not isinstance(at, datetime)),
    )


def filters(
    chosen: Annotated[OneOf, Depends(lists)],
    within: Annotated[Ranges, Depends(ranges)],
    amount_gte: One = None,
    amount_lte: One = None,
    in_stage_gte: One = None,
    q: One = None,
) -> Filters:
    """Which deals are listed."""
    return Filters(
        one_of=chosen,
        amount_gte=parsed("amount_gte", amount_gte, amount),
        amount_lte=parsed("amount_lte", amount_lte, amount),
        in_stage_gte=parsed("in_stage_gte", in_stage_gte, length),
        name_contains=text("q", q),
        **within.instants,
    )


def question(
    chosen: Annotated[Filters, Depends(filters)],
    within: Annotated[Ranges, Depends(ranges)],
    at: Annotated[At, Depends(instants)],
    pipeline_id: Many = None,
    idle_gte: One = None,
    sort: One = None,
) -> DealQuestion:
    """The whole question of a list."""
    return DealQuestion(
        filters=chosen,
        pipelines=one_of({"pipeline_id": pipeline_id}).get("pipeline_id", ()),
        idle_gte=parsed("idle_gte", idle_gte, length),
        days=within.days,
        at=at,
        sort=_sort(sort, at),
    )


def _sort(given: str | None, at: At) -> tuple[tuple[str, bool], ...]:
    allowed = {**SORTS, **NOW_ONLY} if at.present else SORTS
    keys = sort_keys(text("sort", given), allowed, "deal_id")
    if len(keys) > MAX_SORT:
        raise refused("sort", f"at most {MAX_SORT} fields")
    return tuple(keys)


def _moment(value: str, name: str) -> date | datetime:
    """A day of the tenant's zone, or an instant."""
    if len(value) > len("2017-03-01"):
        return instant(value, name)
    return day_in_range(day_text(value))
