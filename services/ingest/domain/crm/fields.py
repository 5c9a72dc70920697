"""A vendor's fields as fields of a deal.

A connector brings a table from the vendor's names to ours; a connection's `field_map` comes first.
Values take the spelling that the catalogue asks for. One that does not fit goes through as it is:
the catalogue's own check then says what is wrong with it, and the event becomes a dead letter.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from libs.common.contracts.events import ATTRIBUTE
from services.ingest.domain.crm.model import Connection
from services.ingest.domain.crm.times import MS, epoch

_DAYS = ("expected_close_date", "renewal_date")
_PLACES = ("stage_id", "pipeline_id")
_MICRO = Decimal("0.000001")
_EVEN = Context(prec=500, rounding=ROUND_HALF_EVEN)
_LONG = re.compile(r"-?\d{1,40}\.\d{7,40}", re.ASCII)
_EXPONENT = re.compile(r"-?\d{1,20}(\.\d{1,20})?[Ee][+-]?\d{1,2}", re.ASCII)


def name_of(vendor: str, table: Mapping[str, str], connection: Connection) -> str | None:
    """Our name of a vendor's field, such as `amount` or `attributes.seats`; `None` if unmapped."""
    return connection.field_map.get(vendor) or table.get(vendor)


def changes(
    record: Mapping[str, Any], table: Mapping[str, str], connection: Connection
) -> dict[str, Any]:
    """The mapped fields of a record, as `deal.updated` takes them."""
    named = ((name_of(key, table, connection), value) for key, value in record.items())
    return dict(_spelled(named, connection))


def _spelled(
    named: Iterator[tuple[str | None, Any]], connection: Connection
) -> Iterator[tuple[str, Any]]:
    for name, value in named:
        if name is None:
            continue
        given = spelled(name, value, connection)
        if given is not None or name not in _PLACES:
            yield name, given


def spelled(name: str, value: Any, connection: Connection) -> Any:
    """A value as the catalogue spells it for our field `name`; an empty text clears."""
    if value is None or value == "":
        return None
    if name.startswith(ATTRIBUTE):
        return value
    match name:
        case "amount":
            return amount(value)
        case "stage_id" if (stage := ident(value)) is not None:
            return connection.stage(stage)
        case "pipeline_id" if (pipeline := ident(value)) is not None:
            return connection.pipeline(pipeline)
    return day(value) if name in _DAYS else text(value)


def amount(value: Any) -> Any:
    """Money as a decimal text; a binary float as the shortest decimal that names it, which is what
    the sender wrote. What has more than six decimal places, as quotients and sums of binary floats
    have, is rounded half to even: no currency has them, and the deal is more than its amount."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    if isinstance(value, str):
        number = _EXPONENT.fullmatch(value) or _LONG.fullmatch(value)
        return _rounded(Decimal(value)) if number else value
    return _rounded(Decimal(repr(value)))


def _rounded(money: Decimal) -> str:
    exponent = money.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -6:
        return f"{money:f}"
    return f"{money.quantize(_MICRO, context=_EVEN):f}".rstrip("0").rstrip(".")


def day(value: Any) -> Any:
    """A day: `2026-06-30`, the beginning of an instant, or milliseconds since 1970 (UTC)."""
    at = epoch(value, MS)
    return str(value)[:10] if at is None else at.date().isoformat()


def text(value: Any) -> Any:
    """Ids and names arrive as numbers too: `7`, `7.0` and `"7"` are one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def ident(value: Any) -> str | None:
    """An id as text, whatever it arrives as; `None` for what cannot be one."""
    given = text(value)
    return given if isinstance(given, str) and given else None


def whole(given: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as `deal.created` takes them: attributes gathered, nothing that is cleared."""
    held = {name: value for name, value in given.items() if value is not None}
    own = {name: value for name, value in held.items() if not name.startswith(ATTRIBUTE)}
    extra = {name.removeprefix(ATTRIBUTE): held[name] for name in held.keys() - own.keys()}
    return own | ({"attributes": extra} if extra else {})
