"""What every measure shares: instants, dimensions and filters, as SQL over a history row `h`.

Texts of statements are made of constants only; whatever a client sent travels as a parameter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.measures.errors import MeasureRefused

Parameters = dict[str, Any]
DIMENSIONS = (
    "owner_id",
    "team_id",
    "region",
    "product_line",
    "customer_type",
    "industry",
    "source",
    "channel_partner_id",
    "stage_id",
)
FILTER_DIMENSIONS = (
    "stage_id",
    "status",
    "owner_id",
    "team_id",
    "account_id",
    "region",
    "product_line",
    "customer_type",
    "industry",
    "source",
    "channel_partner_id",
)
STATUSES = ("open", "won", "lost", "deleted", "merged")
ATTRIBUTE = "attributes."
_LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@dataclass(frozen=True, slots=True)
class Instants:
    """The two times of an answer; no `known_at` means everything known."""

    valid_at: datetime
    known_at: datetime | None = None

    def known(self, row: str) -> str:
        """That a row is held to be true at `known_at`."""
        if self.known_at is None:
            return f"{row}.known_to = 'infinity'"
        return f"{row}.known_from <= :known_at AND {row}.known_to > :known_at"

    @property
    def parameters(self) -> Parameters:
        bound: Parameters = {"valid_at": self.valid_at}
        return bound if self.known_at is None else {**bound, "known_at": self.known_at}


@dataclass(frozen=True, slots=True)
class Filters:
    """The deal filters; `one_of` maps a column to the values it may have."""

    one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    amount_gte: Decimal | None = None
    amount_lte: Decimal | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    closed_from: datetime | None = None
    closed_to: datetime | None = None
    in_stage_gte: timedelta | None = None
    name_contains: str | None = None


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and the values it names."""

    text: str
    parameters: Parameters


_RANGES = {
    "amount_gte": "h.amount >= CAST(:amount_gte AS numeric)",
    "amount_lte": "h.amount <= CAST(:amount_lte AS numeric)",
    "created_from": "h.created_at >= CAST(:created_from AS timestamptz)",
    "created_to": "h.created_at < CAST(:created_to AS timestamptz)",
    "closed_from": "h.closed_at >= CAST(:closed_from AS timestamptz)",
    "closed_to": "h.closed_at < CAST(:closed_to AS timestamptz)",
}


def matching(filters: Filters, instant: str) -> Sql:
    """The condition on a history row that is valid at `instant`, an SQL expression."""
    terms, bound = [], Parameters()
    for column, values in sorted(filters.one_of.items()):
        if column not in FILTER_DIMENSIONS:
            raise MeasureRefused(column, "unknown_filter", f"no filter {column}")
        terms.append(f"h.{column} = ANY(CAST(:in_{column} AS text[]))")
        bound[f"in_{column}"] = list(values)
    for name, term in _RANGES.items():
        if (value := getattr(filters, name)) is not None:
            terms.append(term)
            bound[name] = value
    if filters.in_stage_gte is not None:
        terms.append(f"h.stage_entered_at <= {instant} - CAST(:in_stage_gte AS interval)")
        bound["in_stage_gte"] = filters.in_stage_gte
    if filters.name_contains is not None:
        terms.append("h.name ILIKE CAST(:name_like AS text)")
        bound["name_like"] = f"%{filters.name_contains.translate(_LIKE_ESCAPES)}%"
    return Sql(" AND ".join(terms) or "true", bound)


def check_dimensions(names: Sequence[str], allowed: Iterable[str] = DIMENSIONS) -> tuple[str, ...]:
    """At most two different known dimensions."""
    allowed = tuple(allowed)
    for name in names:
        attribute = name.startswith(ATTRIBUTE) and 0 < len(name) - len(ATTRIBUTE) <= 200
        if name not in allowed and not attribute:
            choice = ", ".join((*allowed, "attributes.<name>"))
            raise MeasureRefused("group_by", "invalid_group_by", f"{name!r} is none of: {choice}")
    if len(set(names)) != len(names) or len(names) > 2:
        raise MeasureRefused("group_by", "invalid_group_by", "at most two different dimensions")
    return tuple(names)


def dimensions(names: Sequence[str]) -> tuple[str, str, Parameters]:
    """SQL expressions over `h` of the two keys; a missing one is a constant null."""
    expressions, bound = ["NULL::text", "NULL::text"], Parameters()
    for index, name in enumerate(check_dimensions(names)):
        expressions[index] = f"h.{name}"
        if name.startswith(ATTRIBUTE):
            expressions[index] = f"(h.attributes ->> CAST(:attribute_{index} AS text))"
            bound[f"attribute_{index}"] = name.removeprefix(ATTRIBUTE)
    return expressions[0], expressions[1], bound
