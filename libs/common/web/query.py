"""Query parameters that need more than a type: durations, instants, sort orders."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.contracts.values import instant_text, utc_in_range
from libs.common.web.errors import ErrorItem, Invalid

STEP: Final = 15
_ISO = re.compile(
    r"P(?:(?P<w>\d{1,5})W)?(?:(?P<d>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<h>\d{1,7})H)?(?:(?P<m>\d{1,8})M)?(?:(?P<s>\d{1,9})S)?)?",
    re.ASCII,
)
_SHORT = re.compile(r"(\d{1,7})([wdhms])", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def refused(parameter: str, detail: str, code: str = "invalid_parameter") -> Invalid:
    """422 about one query parameter."""
    item = ErrorItem(detail, code, parameter=parameter)
    return Invalid(f"{parameter}: {detail}", code=code, errors=[item])


def duration(text: str, parameter: str = "duration") -> timedelta:
    """ISO 8601 (`PT4H`, `P30D`) or short (`4h`, `30d`); a day is 24 hours."""
    if short := _SHORT.fullmatch(text):
        return timedelta(**{_UNITS[short[2]]: int(short[1])})
    iso = _ISO.fullmatch(text)
    given = {_UNITS[u]: int(n) for u, n in (iso.groupdict() if iso else {}).items() if n}
    if not given:
        raise refused(parameter, "must be a duration such as P30D, PT4H, 30d or 4h")
    return timedelta(**given)


def instant(text: str, parameter: str = "instant") -> datetime:
    """RFC 3339 with an offset, in UTC; a `+` that a URL turned into a blank is understood."""
    try:
        return utc_in_range(instant_text(re.sub(r" (\d\d:\d\d)$", r"+\1", text)))
    except ValueError as error:
        raise refused(parameter, str(error)) from None


def sort_keys(text: str | None, allowed: Collection[str], default: str) -> list[tuple[str, bool]]:
    """`-amount,created_at` to `[("amount", True), ("created_at", False)]` (descending or not)."""
    keys = [(part.removeprefix("-"), part.startswith("-")) for part in (text or default).split(",")]
    names = [name for name, _ in keys]
    for name in names:
        if name not in allowed:
            raise refused("sort", f"{name!r} is none of {', '.join(sorted(allowed))}")
    if len(set(names)) < len(names):
        raise refused("sort", "names a field twice")
    return keys


def floored(now: datetime) -> datetime:
    """`now` down to a whole 15 s, so that equal questions get equal answers for a while."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % STEP, UTC)
