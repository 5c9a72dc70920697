"""Dates and times as people write them, to instants and days."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.contracts.values import utc_in_range
from services.ingest.domain.mapping.faults import Unfit, quoted

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS: Mapping[str, tuple[str, str]] = {
    "Y": ("year", r"\d{4}"), "y": ("short_year", r"\d{2}"), "m": ("month", r"\d{1,2}"),
    "d": ("day", r"\d{1,2}"), "H": ("hour", r"\d{1,2}"), "I": ("hour12", r"\d{1,2}"),
    "M": ("minute", r"\d{2}"), "S": ("second", r"\d{2}"), "f": ("fraction", r"\d{1,9}"),
    "p": ("half", r"[AaPp]\.?[Mm]\.?"), "b": ("name", r"[A-Za-z]{3}"),
    "B": ("name", r"[A-Za-z]{3,9}"), "z": ("offset", r"[Zz]|[+-]\d{2}:?\d{2}"),
}  # fmt: skip
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s?(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"-?\d{1,15}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Parse = Callable[[str], datetime | None]
"""A wall time, an instant if the text says an offset, `None` if it is written otherwise."""


class UnknownFormat(ValueError):
    """A format that nobody can read dates by."""


@dataclass(frozen=True, slots=True)
class Times:
    """Reads what is written in one of `formats`; wall times are of `zone`."""

    formats: tuple[Parse, ...]
    zone: ZoneInfo
    spelled: str

    def instant(self, value: Any) -> str | None:
        """RFC 3339 in UTC; the first of two that a clock shows twice, none that it never shows."""
        at = self._read(value)
        return None if at is None else _instant(at, self.zone, value).isoformat()

    def day(self, value: Any) -> str | None:
        """The day that is written; of an instant the day in the zone."""
        at = self._read(value)
        try:
            local = at if at is None or at.tzinfo is None else at.astimezone(self.zone)
        except OverflowError:
            raise Unfit(f"{quoted(value)} is no date of the calendar") from None
        return None if local is None else local.date().isoformat()

    def _read(self, value: Any) -> datetime | None:
        text = _text(value)
        if not text:
            return None
        for parse in self.formats:
            try:
                at = parse(text)
            except (ValueError, OverflowError):
                raise Unfit(f"{quoted(text)} is no date of the calendar") from None
            if at is not None:
                return at
        raise Unfit(f"{quoted(text)} is not written as {self.spelled}")


def times(formats: Sequence[str], zone: str) -> Times:
    """Raises `UnknownFormat`."""
    return Times(tuple(map(_parser, formats)), ZoneInfo(zone), " or ".join(formats))


def _parser(format_: str) -> Parse:
    match format_:
        case "iso":
            return _by(_ISO)
        case "epoch_s":
            return _epoch(timedelta(seconds=1))
        case "epoch_ms":
            return _epoch(timedelta(milliseconds=1))
    return _by(_pattern(format_))


def _pattern(format_: str) -> re.Pattern[str]:
    rest = iter(format_)
    written = (re.escape(c) if c != "%" else _part(next(rest, "")) for c in rest)
    try:
        return _complete(re.compile("".join(written), re.ASCII))
    except re.error:
        raise UnknownFormat("names a part twice") from None


def _part(letter: str) -> str:
    if letter == "%":
        return "%"
    if letter not in _PARTS:
        raise UnknownFormat(f"knows no %{letter}; there are {', '.join('%' + p for p in _PARTS)}")
    name, shape = _PARTS[letter]
    return f"(?P<{name}>{shape})"


def _complete(pattern: re.Pattern[str]) -> re.Pattern[str]:
    held = pattern.groupindex.keys()
    for needed in ({"year", "short_year"}, {"month", "name"}, {"day"}):
        if not needed & held:
            raise UnknownFormat("must hold a year, a month and a day")
    if ("hour12" in held) != ("half" in held):
        raise UnknownFormat("%I and %p need each other")
    return pattern


def _by(pattern: re.Pattern[str]) -> Parse:
    def parse(text: str) -> datetime | None:
        found = pattern.fullmatch(text)
        return None if found is None else _built(found.groupdict())

    return parse


def _built(found: Mapping[str, str | None]) -> datetime:
    """Raises `ValueError` for what no calendar holds."""
    fraction = (found.get("fraction") or "").ljust(6, "0")[:6]
    return datetime(
        _year(found),
        _month(found),
        int(found["day"] or 0),
        _hour(found),
        int(found.get("minute") or 0),
        int(found.get("second") or 0),
        int(fraction),
        tzinfo=_offset(found.get("offset")),
    )


def _year(found: Mapping[str, str | None]) -> int:
    if year := found.get("year"):
        return int(year)
    short = int(found["short_year"] or 0)
    return short + (1900 if short >= 69 else 2000)


def _month(found: Mapping[str, str | None]) -> int:
    if month := found.get("month"):
        return int(month)
    name = (found["name"] or "").lower()
    number = _MONTHS.index(name[:3]) + 1
    if len(name) > 3 and name != date(2000, number, 1).strftime("%B").lower():
        raise ValueError(name)
    return number


def _hour(found: Mapping[str, str | None]) -> int:
    if (half := found.get("half")) is None:
        return int(found.get("hour") or 0)
    hour = int(found["hour12"] or 0)
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if half[0] in "Pp" else 0)


def _offset(text: str | None) -> timezone | None:
    if not text:
        return None
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if minutes > 59:
        raise ValueError(text)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if text[0] == "-" else span)


def _epoch(unit: timedelta) -> Parse:
    def parse(text: str) -> datetime | None:
        return _EPOCH + int(text) * unit if _DIGITS.fullmatch(text) else None

    return parse


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**15:
        raise Unfit(f"{quoted(value)} is no date")
    return str(value)


def _instant(at: datetime, zone: ZoneInfo, value: Any) -> datetime:
    try:
        if at.tzinfo is not None:
            return utc_in_range(at)
        utc = utc_in_range(at.replace(tzinfo=zone))
        shown = utc.astimezone(zone).replace(tzinfo=None, fold=0)
    except ValueError as error:
        raise Unfit(f"{quoted(value)} {error}") from None
    if shown != at:
        raise Unfit(f"{quoted(value)} is a time that clocks of {zone.key} skip")
    return utc
