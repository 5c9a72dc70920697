"""The value types of the catalogue: ids, texts, instants, money; each with its limits."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from libs.common.contracts.currencies import CURRENCIES

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_AMOUNT = Decimal(10) ** 15
MAX_SCALE = 6


def clean_text(text: str) -> str:
    """Refuse what PostgreSQL cannot store: U+0000 and lone surrogates."""
    if "\x00" in text:
        raise ValueError("must not contain U+0000")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must not contain lone surrogates")
    return text


def utc_in_range(instant: datetime) -> datetime:
    utc = instant.astimezone(UTC)
    if not EARLIEST <= utc < LATEST:
        raise ValueError("must lie between the years 1900 and 2199")
    return utc


def day_in_range(day: date) -> date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("must lie between the years 1900 and 2199")
    return day


def decimal_text(value: Any) -> Decimal:
    """Money travels as a decimal string; whole numbers pass, binary floats never do."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('must be a decimal string such as "12000.00"')
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError('must be a decimal string such as "12000.00"') from None
    return _bounded(amount)


def _bounded(amount: Decimal) -> Decimal:
    if not amount.is_finite() or not 0 <= amount < MAX_AMOUNT:
        raise ValueError("must be at least 0 and below 10^15")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_SCALE:
        raise ValueError(f"must have at most {MAX_SCALE} decimal places")
    return amount


def known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be an ISO 4217 code such as EUR")
    return code


def plain_json(value: Any) -> Any:
    """Check every text and number of an open structure (`attributes`, `changes`)."""
    match value:
        case str():
            clean_text(value)
        case float() if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("must not contain NaN or infinities")
        case Mapping():
            for key, item in value.items():
                clean_text(key)
                plain_json(item)
        case list():
            for item in value:
                plain_json(item)
    return value


Id = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(clean_text)
]
Text = Annotated[str, StringConstraints(strict=True, max_length=2_000), AfterValidator(clean_text)]
Instant = Annotated[AwareDatetime, AfterValidator(utc_in_range)]
Day = Annotated[date, AfterValidator(day_in_range)]
Amount = Annotated[Decimal, BeforeValidator(decimal_text)]
Currency = Annotated[str, AfterValidator(known_currency)]
Json = Annotated[dict[str, Any], AfterValidator(plain_json)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**53)]
