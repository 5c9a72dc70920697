"""Query parameters as strict texts: what is wrong with one is said under its name."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

from fastapi import Query

from libs.common.contracts.values import clean_text, decimal_text
from libs.common.web.query import duration, refused

WIDEST = 200
Many = Annotated[list[str] | None, Query(max_length=200)]
"""At most so many values; `text` holds each to its length."""
One = Annotated[str | None, Query(max_length=WIDEST)]
LONGEST = timedelta(days=36_525)
T = TypeVar("T")


def parsed(name: str, value: str | None, parse: Callable[[str, str], T]) -> T | None:
    """Parse a parameter, if it is given; `ValueError` becomes 422 under its name."""
    if value is None:
        return None
    try:
        return parse(value, name)
    except ValueError as error:
        raise refused(name, str(error)) from None


def text(name: str, value: str | None) -> str | None:
    """A text that is not empty, not too long, and that PostgreSQL can store."""
    return parsed(name, value, _present)


def _present(value: str, _: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    if len(value) > WIDEST:
        raise ValueError(f"must be at most {WIDEST} characters")
    return clean_text(value)


def choice(
    name: str, value: str | None, allowed: frozenset[str] | tuple[str, ...], default: T
) -> str | T:
    """One of the allowed words, else the default where none is given."""
    if value is None:
        return default
    if value not in allowed:
        some = ", ".join(allowed) if isinstance(allowed, tuple) else "a known name"
        raise refused(name, f"must be one of: {some}")
    return value


def length(value: str, name: str) -> timedelta:
    """A duration of at most 100 years."""
    found = duration(value, name)
    if found > LONGEST:
        raise ValueError("must be at most 100 years")
    return found


def amount(value: str, _: str) -> Decimal:
    """Money as a decimal text."""
    return decimal_text(value)
