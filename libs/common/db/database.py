"""Pools pinned to one role, and transactions that name the tenant first.

A `Database` never executes outside a transaction. `for_tenant` sets `app.tenant` by an explicit
first statement (never in an engine hook, where a cancellation can leak it); row-level security
does the rest. `across_tenants` is for worker roles, whose statements carry the tenant themselves.
Whatever happens to a transaction, its connection goes back clean or not at all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from libs.common.db.errors import DatabaseUnavailable, is_lost
from libs.common.db.liveness import ask_idle_ones
from libs.common.db.patience import closed, cut_after, cut_if_silent, patience_of, started
from libs.common.db.pool_load import PoolLoad
from libs.common.db.urls import sqlalchemy_url

TRANSACTION_SECONDS = 60.0
"""For a transaction that may hold locks. A client that is stopped between the parts of one
statement (asyncpg flushes after Parse, and syncs after Execute) is not idle to the server, nor
running a statement: without this its locks would stay for as long as it does. PostgreSQL 17+."""
CONNECT_TIMEOUT = 5.0
"""Seconds for a new connection; a database that takes longer is treated as away."""


class Database:
    """One connection pool as one role.

    `statement_timeout` is in seconds: 3 for APIs, 30 for workers (reliability settings sheet).
    A lost connection or an exhausted pool is `DatabaseUnavailable`; errors of a statement stay
    what they are. For API roles a server that says nothing is one of these too, in time.
    """

    def __init__(
        self,
        url: str,
        role: str,
        *,
        pool_size: int = 10,
        statement_timeout: float = 30,
        pool_timeout: float = 10,
    ) -> None:
        self.role = role
        self.dirty_checkins = 0
        """Connections that came back inside a transaction; each was dropped. Always 0, we hope."""
        self._patience = patience_of(role, statement_timeout)
        self._engine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_recycle=1800,
            pool_timeout=pool_timeout,
            json_deserializer=_as_text,
            hide_parameters=True,
            connect_args={
                "server_settings": _settings(role, statement_timeout),
                "timeout": CONNECT_TIMEOUT,
                "command_timeout": self._patience.statement,
            },
        )
        event.listen(self._engine.sync_engine, "checkin", self._assert_clean)
        ask_idle_ones(self._engine.sync_engine)
        self._load = PoolLoad(role, pool_size)

    @asynccontextmanager
    async def for_tenant(
        self, tenant_id: str, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """A transaction bound to one tenant; `snapshot` gives it one read-only view of one instant.

        An empty tenant is refused: it is nobody's, and always a mistake.
        """
        if not tenant_id:
            raise ValueError("a tenant's transaction needs a tenant")
        async with self._transaction(snapshot) as connection:
            await self._open(connection, tenant_id, snapshot=snapshot)
            yield connection

    @asynccontextmanager
    async def across_tenants(self, *, snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction of a worker; no tenant is set, so walled views answer nothing."""
        async with self._transaction(snapshot) as connection:
            await self._open(connection, "", snapshot=snapshot)
            yield connection

    async def _open(self, connection: AsyncConnection, tenant: str, *, snapshot: bool) -> None:
        """BEGIN and the tenant; the first to notice a server that fell silent a moment ago. A
        snapshot is read for as long as it takes, and is in nobody's way."""
        given = {
            "tenant": tenant,
            "most": "0" if snapshot else f"{int(TRANSACTION_SECONDS * 1e3)}ms",
        }
        with cut_after(connection, self._patience.checkout):
            await connection.execute(_OPEN, given)

    @asynccontextmanager
    async def _transaction(self, snapshot: bool) -> AsyncIterator[AsyncConnection]:
        async with self._connected() as connection:
            try:
                if snapshot:
                    await connection.execution_options(**_SNAPSHOT)
                async with connection.begin():
                    with cut_if_silent(connection):
                        yield connection
            except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if is_lost(error):
                    raise DatabaseUnavailable("the connection to PostgreSQL was lost") from error
                raise

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        connection = self._engine.connect()
        try:
            with self._load.waiting():
                await started(connection, self._patience.checkout)
        except _CONNECT_ERRORS as error:
            if isinstance(error, OSError | PoolTimeoutError) or is_lost(error):
                raise DatabaseUnavailable(f"PostgreSQL gave no connection: {error}") from error
            raise
        with self._load.in_use():
            try:
                yield connection
            finally:
                closing = asyncio.create_task(closed(connection))
                await asyncio.shield(closing)  # a cancellation must not leave it half rolled back

    def _assert_clean(self, connection: Any, record: Any) -> None:
        """Last guard of the pool: a connection inside a transaction is never handed on."""
        if connection is not None and connection.driver_connection.is_in_transaction():
            self.dirty_checkins += 1
            record.invalidate()

    async def close(self) -> None:
        self._load.end()
        await self._engine.dispose()


_CONNECT_ERRORS = (OSError, PoolTimeoutError, DBAPIError, asyncpg.PostgresError)  # and timeouts
_OPEN = text("""SELECT set_config('app.tenant', :tenant, true),
    CASE WHEN current_setting('server_version_num')::int >= 170000
        THEN set_config('transaction_timeout', :most, true) END""")
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _as_text(json: str) -> str:
    """JSON comes back as its text, as it was stored; who reads it decides how to decode it."""
    return json


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

    SQLAlchemy opens the server transaction at its first statement; both kinds of ours have one.
    """
    raw = await connection.get_raw_connection()
    inner: Any = raw.driver_connection
    if not inner.is_in_transaction():
        raise RuntimeError("the driver may only be used inside a transaction")
    return inner
