"""Transactions of the worker role that tell an absent database from a refused statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable, is_transient
from services.ingest.app.ports import IndexUnavailable


@asynccontextmanager
async def worker_transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction across tenants; raises `IndexUnavailable` where trying again may help."""
    try:
        async with database.across_tenants() as tx:
            yield tx
    except (SQLAlchemyError, DatabaseUnavailable, OSError) as error:
        if isinstance(error, PoolTimeout) or is_transient(error):
            raise IndexUnavailable(repr(error)) from error
        raise
