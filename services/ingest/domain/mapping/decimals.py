"""Numbers as people write them, to the one spelling of decimals."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from services.ingest.domain.mapping.faults import Unfit, quoted

Mark = Literal[".", ","]
Read = Callable[[Any], str | None]
_SIGNS = "$€£¥₹₩₽₺₴₫฿₱¢"
_PLAIN = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


def reader(mark: Mark) -> Read:
    """Reads decimals whose fraction follows `mark`; `None` for an empty text.

    Thousands may be grouped, in threes and by one separator that is not the mark. `1.234` with the
    mark `,` is therefore 1234, and `1.23` is refused instead of guessed at.
    """
    group = "[" + ("," if mark == "." else ".") + "'’ \u00a0\u202f]"
    whole = rf"\d{{1,3}}(?P<by>{group})\d{{3}}(?:(?P=by)\d{{3}})*|\d{{1,40}}"
    shape = re.compile(
        rf"(?P<sign>[-+−]?)\s?(?P<whole>{whole})?(?:\{mark}(?P<part>\d{{1,40}}))?", re.ASCII
    )

    def read(value: Any) -> str | None:
        if not isinstance(value, str):
            return _number(value)
        text = value.strip()
        if mark == "." and _PLAIN.fullmatch(text):
            return text
        return _read(shape, text) if text else None

    return read


def _read(shape: re.Pattern[str], given: str) -> str:
    found = shape.fullmatch(given.strip(_SIGNS).strip())
    if found is None or not (found["whole"] or found["part"]):
        raise Unfit(f"{quoted(given)} is no number as `decimal` says that they are written")
    whole = re.sub(r"\D", "", found["whole"] or "0")
    sign = "-" if found["sign"] in ("-", "−") else ""
    return sign + whole + (f".{found['part']}" if found["part"] else "")


def _number(value: Any) -> str | None:
    """A number of JSON; a binary float as the shortest decimal that names it."""
    match value:
        case None:
            return None
        case bool():
            raise Unfit("true or false is no number")
        case int():
            return _whole(value)
        case float() if value == value and abs(value) != float("inf"):
            return f"{Decimal(repr(value)):f}"
    raise Unfit(f"{quoted(value)} is no number")


def _whole(value: int) -> str:
    if abs(value) >= 10**40:
        raise Unfit("is no number of at most 40 digits")
    return str(value)
