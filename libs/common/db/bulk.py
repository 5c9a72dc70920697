"""Bulk statements over arrays: one round trip for any number of rows.

Statements are built from names that are constants of the code; every value is bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

FOREVER = datetime.max  # noqa: DTZ901  # the driver's own spelling, naive on purpose
"""PostgreSQL's `infinity`."""


def ended(instant: datetime) -> datetime | None:
    """The end of an interval; `None` if it has none."""
    return None if instant == FOREVER else instant


def arrays(columns: Iterable[str]) -> str:
    """`unnest($1::text[], $2::int[])` for the types given."""
    return "unnest(" + ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(columns, 1)) + ")"


def insert(table: str, columns: Mapping[str, str]) -> str:
    """`INSERT INTO table (…) SELECT … FROM unnest(…)`; JSON travels as text."""
    kinds = ["text" if kind == "json" else kind for kind in columns.values()]
    names = [f'"{name}"' for name in columns]
    values = [
        f"{name}::json" if kind == "json" else name
        for name, kind in zip(names, columns.values(), strict=True)
    ]
    return (
        f"INSERT INTO {table} ({', '.join(names)}) "  # noqa: S608  # names are constants
        f"SELECT {', '.join(values)} FROM {arrays(kinds)} AS t({', '.join(names)})"
    )


def replace(columns: Iterable[str], key: Sequence[str]) -> str:
    """`ON CONFLICT (key) DO UPDATE SET …` of every other column."""
    sets = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in columns if name not in key)
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


def transposed(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows to the arrays of their columns."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width
