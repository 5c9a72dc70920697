"""The deal filters that every list and measure takes."""

from typing import cast

from libs.common.measures.scope import STATUSES
from libs.common.web.params import Many, choice, text

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
