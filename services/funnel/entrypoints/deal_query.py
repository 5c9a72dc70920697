"""Query parameters of the deal reads."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Depends

from libs.common.measures.scope import Filters
from libs.common.web.deal_filters import filters, moments, one_of
from libs.common.web.params import Many, One, length, parsed, text
from libs.common.web.query import instant, refused, sort_keys
from services.funnel.app.deal_question import NOW_ONLY, SORTS, At, DealQuestion

MAX_SORT = 3


def instants(valid_at: One = None, known_at: One = None) -> At:
    """The two instants of a read; both left out: now."""
    return At(parsed("valid_at", valid_at, instant), parsed("known_at", known_at, instant))


def question(
    chosen: Annotated[Filters, Depends(filters)],
    within: Annotated[dict[str, date | datetime], Depends(moments)],
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
        ranges=within,
        at=at,
        sort=_sort(sort, at),
    )


def _sort(given: str | None, at: At) -> tuple[tuple[str, bool], ...]:
    allowed = {**SORTS, **NOW_ONLY} if at.present else SORTS
    keys = sort_keys(text("sort", given), allowed, "deal_id")
    if len(keys) > MAX_SORT:
        raise refused("sort", f"at most {MAX_SORT} fields")
    return tuple(keys)
