"""The one migration runner: roles and schemas, each service's revisions, then the grants file."""

import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import stamina
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.common.db import roles
from libs.common.db.database import CONNECT_TIMEOUT
from libs.common.db.ddl import LOOKUP, OWNER, api_role, worker_role
from libs.common.db.errors import DatabaseUnavailable, is_transient
from libs.common.db.urls import sqlalchemy_url

ROOT = Path(__file__).parents[3]
SERVICES = ("ingest", "funnel", "alerts", "reporting")
SCHEMAS = ("log", *SERVICES)
SCRIPTS: Mapping[str, str] = {"log": "libs/common/eventlog/migrations"} | {
    service: f"services/{service}/migrations" for service in SERVICES
}
"""Where each schema's revisions lie; `alembic.ini` says the same for the shell."""

_ONE_RUNNER = 7_205_759_403  # any constant: the advisory lock of the one runner per database
_ATTEMPTS = 30
_LONGEST_PAUSE = 5.0


async def migrate(url: str, schemas: Sequence[str] = SCHEMAS) -> None:
    """Bring the database to head. Safe to run twice and from several processes at once.

    Each revision waits at most 2 s for a lock and is tried again, so that the queries queueing
    behind it are never held up for long.
    """
    engine = create_async_engine(sqlalchemy_url(url), connect_args={"timeout": CONNECT_TIMEOUT})
    try:
        async with _reached(engine) as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ONE_RUNNER})
            await connection.commit()
            await _all(connection, schemas)
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ONE_RUNNER})
            await connection.commit()
    finally:
        await engine.dispose()


@asynccontextmanager
async def _reached(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Like `connect`, with a reason where the server says nothing."""
    connection = engine.connect()
    try:
        await connection.start()
    except TimeoutError as error:
        silent = f"PostgreSQL did not answer within {CONNECT_TIMEOUT:g} s"
        raise DatabaseUnavailable(silent) from error
    try:
        yield connection
    finally:
        await connection.close()


async def _all(connection: AsyncConnection, schemas: Sequence[str]) -> None:
    version = await connection.scalar(text("SELECT current_setting('server_version_num')::int"))
    await _patiently(connection, list(roles.bootstrap(SERVICES, version or 0)))
    await connection.execute(text(f"SET ROLE {OWNER}"))
    await connection.commit()
    await _patiently(connection, list(roles.usage(SERVICES)))
    for schema in schemas:
        async for attempt in _attempts():
            with attempt:
                await connection.rollback()
                await connection.run_sync(_upgrade, schema)
                await connection.commit()
    await _patiently(connection, list(grants()))
    await connection.execute(text("RESET ROLE"))
    await connection.commit()


async def _patiently(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Run statements as one transaction, again if another runner or a lock stood in the way."""
    async for attempt in _attempts():
        with attempt:
            await connection.rollback()
            for statement in statements:
                await connection.execute(text(statement))
            await connection.commit()


def _attempts() -> "stamina._core._RetryContextIterator":
    return stamina.retry_context(
        on=_worth_another_try, attempts=_ATTEMPTS, timeout=None, wait_max=_LONGEST_PAUSE
    )


def _worth_another_try(error: Exception) -> bool:
    return is_transient(error) or "tuple concurrently updated" in str(error)


def alembic_config(schema: str) -> Config:
    """Alembic's configuration of one schema, independent of the working directory."""
    config = Config(ini_section=schema)
    config.set_section_option(schema, "script_location", str(ROOT / SCRIPTS[schema]))
    return config


def _upgrade(connection: Connection, schema: str) -> None:
    config = alembic_config(schema)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


_FUNCTIONS = "functions"


def readers() -> dict[str, dict[str, list[str]]]:
    """The grants file: published schema to view to roles (without the `headway_` prefix)."""
    return {schema: views for schema, views in _granted().items() if schema != _FUNCTIONS}


def callers() -> dict[str, list[str]]:
    """The same of published functions, by their signatures."""
    return _granted()[_FUNCTIONS]


def _granted() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((Path(__file__).parent / "grants.toml").read_text("utf-8"))


def crosses_tenants(view: str) -> bool:
    """Whether a published view is one of the few that show all tenants."""
    return view.endswith(("_all_v1", "_lookup_v1"))


def grants() -> Iterator[str]:
    """Who may read what: the published views by the file, versions by each service's roles."""
    for schema, views in readers().items():
        for view, names in views.items():
            grantees = ", ".join(f"headway_{name}" for name in names)
            yield f"GRANT USAGE ON SCHEMA {schema} TO {grantees}"
            yield f"SET LOCAL ROLE {LOOKUP if crosses_tenants(view) else OWNER}"
            yield f"GRANT SELECT ON {schema}.{view} TO {grantees}"
            yield f"SET LOCAL ROLE {OWNER}"
    for function, names in callers().items():
        grantees = ", ".join(f"headway_{name}" for name in names)
        yield f"GRANT EXECUTE ON FUNCTION {function} TO {grantees}"
    for service in SERVICES:
        own = f"{api_role(service)}, {worker_role(service)}"
        yield f"GRANT SELECT ON {service}.alembic_version TO {own}"
