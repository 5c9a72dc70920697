"""The catalog as the wall tests read it, and rows made up for any table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from libs.common.db.migrate import SERVICES
from libs.common.db.selfcheck import exempt

TENANTS = ("tenant-a", "tenant-b")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    required: bool
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A walled table; `service` is its schema."""

    service: str
    name: str
    columns: tuple[Column, ...]

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"


_COLUMNS = """
    SELECT c.oid::regclass::text AS name, n.nspname AS service, c.relname AS table,
        a.attname AS column, format_type(a.atttypid, NULL) AS type,
        a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AS required,
        (SELECT array_agg(m[1]) FROM pg_constraint k,
            regexp_matches(pg_get_constraintdef(k.oid), '''([^'']+)''::text', 'g') m
            WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]) AS allowed
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY n.nspname, c.relname, a.attnum"""


async def walled_tables(connection: Any) -> list[Table]:
    """Every table of a service that the exempt list does not name."""
    tables: dict[tuple[str, str], list[Column]] = {}
    for row in await connection.fetch(_COLUMNS, list(SERVICES)):
        if not exempt().table(f"{row['service']}.{row['table']}"):
            allowed = tuple(row["allowed"] or ())
            column = Column(row["column"], row["type"], row["required"], allowed)
            tables.setdefault((row["service"], row["table"]), []).append(column)
    return [Table(service, name, tuple(columns)) for (service, name), columns in tables.items()]


async def published_views(connection: Any) -> list[tuple[str, str]]:
    """`(schema, name)` of every published view."""
    rows = await connection.fetch(
        "SELECT schemaname, viewname FROM pg_views WHERE schemaname = ANY($1) ORDER BY 1, 2",
        [f"{service}_api" for service in SERVICES],
    )
    return [(row["schemaname"], row["viewname"]) for row in rows]


_VALUES: dict[str, Any] = {
    "text": "x",
    "integer": 1,
    "bigint": 1,
    "smallint": 1,
    "numeric": 1,
    "boolean": False,
    "bytea": b"x",
    "json": json.dumps({}),
    "jsonb": json.dumps({}),
    "uuid": UUID(int=7),
    "date": date(2026, 1, 1),
    "timestamp with time zone": datetime(2026, 1, 1, tzinfo=UTC),
    "interval": "1 day",
    "text[]": ["x"],
    "bytea[]": [b"x"],
}


def row_of(table: Table, tenant: str) -> tuple[str, Sequence[Any]]:
    """An INSERT that gives every required column of a table a value, for one tenant."""
    chosen = [c for c in table.columns if c.required or c.name in ("tenant_id", "status")]
    marks = ", ".join(f"${n}::text::{c.type}" if c.type == "interval" else f"${n}"
                      for n, c in enumerate(chosen, 1))  # fmt: skip
    names = ", ".join(f'"{c.name}"' for c in chosen)
    values = [tenant if c.name == "tenant_id" else _value(c, tenant) for c in chosen]
    return f"INSERT INTO {table.full_name} ({names}) VALUES ({marks})", values  # noqa: S608


def _value(column: Column, tenant: str) -> Any:
    if column.allowed:
        return next(value for value in column.allowed)
    if column.type == "text" and column.name.endswith("_id"):
        return f"{column.name}-{tenant}"  # some ids are unique over all tenants
    return _VALUES[column.type]
