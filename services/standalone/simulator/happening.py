"""What happened in the team, before it has an id or has been delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Happening:
    """One fact: an instant in whole milliseconds, a type of the catalogue and its data."""

    at: datetime
    type: str
    data: Mapping[str, Any]
    subject: str


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds only where there are some."""
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def money(amount: float) -> str:
    """A decimal string with cents, as the catalogue asks for."""
    return f"{amount:.2f}"
