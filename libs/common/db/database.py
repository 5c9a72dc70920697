"""Pools pinned to one role, and transactions that name the tenant first.

A `Database` never executes outside a transaction. `for_tenant` sets `app.tenant` by an explicit
first statement (never in an engine hook, where a cancellation can leak it); row-level security
does the rest. `across_tenants` is for worker roles, whose statements carry the tenant themselves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from libs.common.db.urls import sqlalchemy_url


class Database:
    """One connection pool as one role.

    `statement_timeout` is in seconds: 3 for APIs, 30 for workers (reliability settings sheet).
    """

    def __init__(
        self, url: str, role: str, *, pool_size: int = 10, statement_timeout: float = 30
    ) -> None:
        self.role = role
        self._engine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_timeout=10,
            connect_args={"server_settings": _settings(role, statement_timeout)},
        )

    @asynccontextmanager
    async def for_tenant(
        self, tenant_id: str, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """A transaction bound to one tenant; `snapshot` gives it one REPEATABLE READ view."""
        async with self._engine.connect() as connection:
            if snapshot:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                await connection.execute(_SET_TENANT, {"tenant": tenant_id})
                yield connection

    @asynccontextmanager
    async def across_tenants(self) -> AsyncIterator[AsyncConnection]:
        """A transaction of a worker; `app.tenant` stays unset, so walled views answer nothing."""
        async with self._engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


_SET_TENANT = text("SELECT set_config('app.tenant', :tenant, true)")


def _settings(role: str, statement_timeout: float) -> dict[str, str]:
    return {
        "role": role,
        "application_name": role,
        "timezone": "UTC",
        "statement_timeout": f"{int(statement_timeout * 1000)}ms",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
        "jit": "off",
    }


async def driver(connection: AsyncConnection) -> Any:
    """The asyncpg connection under a transaction, for COPY and `unnest` batches.

    SQLAlchemy opens the server transaction at its first statement; ours always has one.
    """
    raw = await connection.get_raw_connection()
    return raw.driver_connection
