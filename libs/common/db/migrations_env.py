"""What every `env.py` runs: one service's schema only, on the connection that is handed in."""

import asyncio

from alembic import context
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.common.db.urls import sqlalchemy_url
from libs.common.settings import DatabaseSettings

LOCK_TIMEOUT = "2s"


def run(schema: str) -> None:
    """Entry point of `env.py`. A caller that already runs a loop passes `connection`."""
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given, schema)
    else:
        asyncio.run(_on_own_engine(schema))


def migrate(connection: Connection, schema: str) -> None:
    context.configure(
        connection=connection,
        target_metadata=MetaData(schema=schema),
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name == schema,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT set_config('lock_timeout', :t, true)"), {"t": LOCK_TIMEOUT})
        context.run_migrations()


async def _on_own_engine(schema: str) -> None:
    engine = create_async_engine(sqlalchemy_url(DatabaseSettings().database_url))
    async with engine.connect() as connection:
        await connection.execute(text("SET ROLE headway_owner"))
        await connection.run_sync(migrate, schema)
        await connection.commit()
    await engine.dispose()
