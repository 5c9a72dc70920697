"""Instants as CRMs write them, to UTC; `None` for what is none."""

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.contracts.values import EARLIEST, LATEST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)


def epoch(value: Any, unit: timedelta) -> datetime | None:
    """A count of `unit` since 1970, as a number or its digits."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        return _bounded(_EPOCH + int(value) * unit)
    except (ValueError, OverflowError):
        return None


def iso(value: Any) -> datetime | None:
    """ISO 8601, with `T` or a space; without an offset it is UTC."""
    if not isinstance(value, str) or len(value) < len("2026-01-01T00:00"):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        return _bounded(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _bounded(at: datetime) -> datetime | None:
    return at if EARLIEST <= at < LATEST else None
