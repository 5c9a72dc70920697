"""The deal filters that every list and measure takes."""

from datetime import date, datetime
from typing import Annotated, cast

from fastapi import Depends

from libs.common.contracts.values import day_in_range, day_text
from libs.common.measures.scope import STATUSES, Filters
from libs.common.web.params import Many, One, amount, choice, length, parsed, text
from libs.common.web.query import instant

OneOf = dict[str, tuple[str, ...]]
"""By column, the values that it may have."""


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
    found = one_of(given)
    for status_ in found.get("status", ()):
        choice("status", status_, STATUSES, None)
    return found


def one_of(given: dict[str, list[str] | None]) -> OneOf:
    """Lists of texts, those left out left out."""
    return {
        name: tuple(cast(str, text(name, value)) for value in values)
        for name, values in given.items()
        if values
    }


def filters(
    chosen: Annotated[OneOf, Depends(lists)],
    amount_gte: One = None,
    amount_lte: One = None,
    in_stage_gte: One = None,
    q: One = None,
) -> Filters:
    """Which deals are meant, ranges of times apart."""
    return Filters(
        one_of=chosen,
        amount_gte=parsed("amount_gte", amount_gte, amount),
        amount_lte=parsed("amount_lte", amount_lte, amount),
        in_stage_gte=parsed("in_stage_gte", in_stage_gte, length),
        name_contains=text("q", q),
    )


def moments(
    created_from: One = None,
    created_to: One = None,
    closed_from: One = None,
    closed_to: One = None,
) -> dict[str, date | datetime]:
    """Half-open ranges of times, those left out left out: `from` is in, `to` is out."""
    given = {
        "created_from": created_from, "created_to": created_to,
        "closed_from": closed_from, "closed_to": closed_to,
    }  # fmt: skip
    found = {name: parsed(name, value, moment) for name, value in given.items()}
    return {name: at for name, at in found.items() if at is not None}


def moment(value: str, name: str) -> date | datetime:
    """An instant, or a day of a zone that the caller knows."""
    if len(value) > len("2017-03-01"):
        return instant(value, name)
    return day_in_range(day_text(value))
