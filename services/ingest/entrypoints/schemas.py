"""Bodies of commands: strict, unknown fields are refused."""

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from libs.common.contracts.values import Currency, Instant, clean_text
from libs.common.web.errors import Invalid
from libs.common.web.principal import SCOPES
from libs.common.web.query import duration

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TenantId = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", max_length=63)
]
Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(clean_text),
]
_ZONES = available_timezones()
LONGEST_OVERLAP = timedelta(days=30)


def _known_zone(zone: str) -> str:
    if zone not in _ZONES:
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return zone


def _known_scopes(scopes: list[str]) -> list[str]:
    if unknown := sorted(set(scopes) - SCOPES):
        raise ValueError(f"unknown scopes: {', '.join(unknown)}")
    return sorted(set(scopes))


def _overlap(value: str) -> str:
    try:
        fits = duration(value) <= LONGEST_OVERLAP
    except Invalid:
        fits = False
    if not fits:
        raise ValueError("must be a duration from PT0S to P30D")
    return value


class Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateTenant(Command):
    """`fiscal_year_start_month` and `week_start` are the first values of reporting's calendar."""

    id: TenantId
    name: Name | None = None
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    currency: Currency = "EUR"
    fiscal_year_start_month: Annotated[int, Field(strict=True, ge=1, le=12)] = 1
    week_start: Weekday = "monday"
    sandbox: Annotated[bool, Field(strict=True)] = False


class CreateKey(Command):
    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=50), AfterValidator(_known_scopes)]
    expires_at: Instant | None = None


class RotateKey(Command):
    overlap: Annotated[
        str, StringConstraints(strict=True, max_length=40, pattern="^P"), AfterValidator(_overlap)
    ] = "P1D"
    """How long the old key goes on beside its successor."""
