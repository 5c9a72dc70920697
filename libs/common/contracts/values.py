"""The value types of the catalogue: ids, texts, instants, money; each with its limits."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from libs.common.contracts.currencies import CURRENCIES

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_AMOUNT = Decimal(10) ** 15
MAX_SCALE = 6
MAX_DEPTH = 64

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,20})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


def clean_text(text: str) -> str:
    """Refuse what PostgreSQL cannot store: U+0000 and lone surrogates."""
    if "\x00" in text:
        raise ValueError("must not contain U+0000")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must not contain lone surrogates")
    return text


def instant_text(value: Any) -> datetime:
    """RFC 3339 with an offset, and nothing that merely resembles it (numbers, week dates)."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with an offset")
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError(f"must be an RFC 3339 time with an offset: {error}") from None


def utc_in_range(instant: datetime) -> datetime:
    try:
        utc = instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1900 and 2199") from None
    if not EARLIEST <= utc < LATEST:
        raise ValueError("must lie between the years 1900 and 2199")
    return utc


def bounded(instant: datetime, by: timedelta) -> datetime:
    """`instant + by`, or the end of the time that there is for us, in whole seconds."""
    try:
        return min(max(instant + by, EARLIEST), LATEST - timedelta(seconds=1))
    except OverflowError:
        return EARLIEST if by < timedelta() else LATEST - timedelta(seconds=1)


def day_text(value: Any) -> date:
    """A calendar day; an instant is refused, since its day depends on a zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("must be a date such as 2026-06-30")
    return date.fromisoformat(value)


def day_in_range(day: date) -> date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("must lie between the years 1900 and 2199")
    return day


def sequence_number(value: Any) -> int:
    """A source's counter; CloudEvents spells it as text, a JSON integer is taken as well."""
    text = str(value) if type(value) is int and abs(value) < 2**64 else value
    if not isinstance(text, str) or not _INTEGER.fullmatch(text):
        raise ValueError("must be an integer of 64 bits")
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError("must be an integer of 64 bits")
    return number


def decimal_text(value: Any) -> Decimal:
    """Money travels as a decimal string; whole numbers pass, binary floats never do."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('must be a decimal string such as "12000.00"')
    if not isinstance(value, str):
        return _bounded(Decimal(value))
    if not _DECIMAL.fullmatch(value):
        raise ValueError('must be a decimal string such as "12000.00"')
    return _bounded(Decimal(value))


def _bounded(amount: Decimal) -> Decimal:
    if not amount.is_finite() or not 0 <= amount < MAX_AMOUNT:
        raise ValueError("must be at least 0 and below 10^15")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_SCALE:
        raise ValueError(f"must have at most {MAX_SCALE} decimal places")
    return abs(amount)


def known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be an ISO 4217 code such as EUR")
    return code


def really_bool(value: Any, info: ValidationInfo) -> Any:
    """Writers send JSON's own booleans; what was kept before they had to is read as it was."""
    if info.context and not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def really_number(value: Any, info: ValidationInfo) -> Any:
    """Likewise a JSON number, and no text of one."""
    if info.context and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
        raise ValueError("must be a number")
    return value


Path = tuple[str | int, ...]
_LEAVES = frozenset((str, int, float, bool, type(None)))


def json_fault(root: Any) -> tuple[Path, str] | None:
    """Path and reason of the first thing in an open structure that cannot be stored or sent on.

    Iterative, since the depth is the sender's choice.
    """
    if reason := _leaf_fault(root):
        return (), reason
    pending: list[tuple[Path, Any]] = [((), root)]
    while pending:
        path, value = pending.pop()
        children = _children(value)
        if children and len(path) >= MAX_DEPTH:
            return path, f"must not be nested deeper than {MAX_DEPTH}"
        for key, child in children:
            if isinstance(key, str) and (reason := _leaf_fault(key)):
                return path, f"a key {reason}"
            if type(child) not in _LEAVES and isinstance(child, Mapping | list):
                pending.append(((*path, key), child))
            elif reason := _leaf_fault(child):
                return (*path, key), reason
    return None


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if type(value) is dict or isinstance(value, Mapping):
        return value.items()
    return list(enumerate(value)) if isinstance(value, list) else ()


def _leaf_fault(value: Any) -> str | None:
    if type(value) is str and value.isascii() and "\x00" not in value:
        return None  # as most are
    match value:
        case str():
            try:
                clean_text(value)
            except ValueError as error:
                return str(error)
        case float() if value != value or value in (float("inf"), float("-inf")):
            return "must not be NaN or infinite"
        case int() if not -(2**63) <= value < 2**63:
            return "must fit into 64 bits; send larger numbers as text"
    return None


def plain_json(value: Any) -> Any:
    """Check every text and number of an open structure (`attributes`, `changes`)."""
    if fault := json_fault(value):
        reason = PydanticCustomError("unstorable", fault[1])
        detail = InitErrorDetails(type=reason, loc=fault[0], input=None)
        raise ValidationError.from_exception_data("json", [detail])
    return value


Id = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(clean_text)
]
Text = Annotated[str, StringConstraints(strict=True, max_length=2_000), AfterValidator(clean_text)]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(instant_text),
    AfterValidator(utc_in_range),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Day = Annotated[
    date,
    BeforeValidator(day_text),
    AfterValidator(day_in_range),
    WithJsonSchema({"type": "string", "format": "date"}),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(decimal_text),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,15}(\.\d{1,6})?$"}),
]
Currency = Annotated[
    str,
    AfterValidator(known_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]
Json = Annotated[dict[str, Any], AfterValidator(plain_json)]
Flag = Annotated[bool, BeforeValidator(really_bool)]
Score = Annotated[
    Decimal,
    BeforeValidator(really_number),
    Field(ge=0, le=100, max_digits=9, decimal_places=6),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
]
Count = Annotated[int, Field(strict=True, ge=0, le=2**53)]
