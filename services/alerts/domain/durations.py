"""ISO 8601 durations of wall time: `P30D`, `PT4H`, and negative ones for offsets."""

import re
from datetime import timedelta

_ISO = re.compile(
    r"(?P<sign>-?)P(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)
LONGEST = timedelta(days=36_525)


def parse_duration(text: str) -> timedelta:
    """A duration of at most 100 years; a day is 24 hours. Raises `ValueError`."""
    found = _ISO.fullmatch(text)
    parts = found.groupdict() if found else {}
    sign = -1 if parts.pop("sign", "") else 1
    given = {name: int(count) for name, count in parts.items() if count}
    if not given:
        raise ValueError("must be a duration such as P30D or PT4H")
    value = timedelta(**given)
    if value > LONGEST:
        raise ValueError("must be at most 100 years")
    return sign * value


def duration_text(value: timedelta) -> str:
    """The shortest spelling in days, hours, minutes and seconds: `P30D`, `P1DT12H`, `PT0S`."""
    sign, seconds = ("-", -value) if value < timedelta() else ("", value)
    minutes, rest = divmod(int(seconds.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    time = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    date = f"{days}D" if days else ""
    if not date and not time:
        return "PT0S"
    return f"{sign}P{date}" + (f"T{time}" if time else "")
