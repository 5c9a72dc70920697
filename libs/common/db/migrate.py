"""The one migration runner: roles and schemas, each service's revisions, then the grants file."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import stamina
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from libs.common.db.ddl import LOOKUP, OWNER, api_role, worker_role
from libs.common.db.urls import sqlalchemy_url

ROOT = Path(__file__).parents[3]
SERVICES = ("ingest", "funnel", "alerts", "reporting")
SCHEMAS = ("log", *SERVICES)
_LOCK = 7_205_759_403  # any constant: one runner at a time per database


async def migrate(url: str, schemas: Sequence[str] = SCHEMAS) -> None:
    """Bring the database to head. Safe to run twice and from several processes at once."""
    engine = create_async_engine(sqlalchemy_url(url))
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            await _all(connection, schemas)
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            await connection.commit()
    finally:
        await engine.dispose()


async def _all(connection: AsyncConnection, schemas: Sequence[str]) -> None:
    for statement in _bootstrap():
        await connection.execute(text(statement))
    await connection.commit()
    for schema in schemas:
        async for attempt in stamina.retry_context(on=DBAPIError, attempts=5):
            with attempt:
                await connection.rollback()
                await connection.execute(text(f"SET ROLE {OWNER}"))
                await connection.run_sync(_upgrade, schema)
                await connection.commit()
    for statement in _grants():
        await connection.execute(text(statement))
    await connection.execute(text("RESET ROLE"))
    await connection.commit()


def _upgrade(connection: Connection, schema: str) -> None:
    config = Config(str(ROOT / "alembic.ini"), ini_section=schema)
    config.set_main_option(
        "script_location", str(ROOT / config.get_main_option("script_location", ""))
    )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _roles() -> Iterator[str]:
    yield from (OWNER, LOOKUP, "headway_log")
    for service in SERVICES:
        yield api_role(service)
        yield worker_role(service)


def _bootstrap() -> Iterator[str]:
    for role in _roles():
        yield f"""DO $$ BEGIN
            CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
    yield f"GRANT {LOOKUP} TO {OWNER} WITH INHERIT FALSE, SET TRUE"
    for schema in SCHEMAS:
        yield f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {OWNER}"
    yield "GRANT USAGE ON SCHEMA log TO headway_log"
    for service in SERVICES:
        yield f"CREATE SCHEMA IF NOT EXISTS {service}_api AUTHORIZATION {OWNER}"
        yield f"GRANT USAGE, CREATE ON SCHEMA {service}_api TO {LOOKUP}"
        yield f"GRANT USAGE ON SCHEMA {service} TO {api_role(service)}, {worker_role(service)}"


def readers() -> dict[str, dict[str, list[str]]]:
    """The grants file: published schema to view to roles (without the `headway_` prefix)."""
    return tomllib.loads((Path(__file__).parent / "grants.toml").read_text())


def _grants() -> Iterator[str]:
    for schema, views in readers().items():
        for view, roles in views.items():
            names = ", ".join(f"headway_{role}" for role in roles)
            yield f"GRANT USAGE ON SCHEMA {schema} TO {names}"
            owner = LOOKUP if view.endswith("_all_v1") or view == "key_lookup_v1" else OWNER
            yield f"SET ROLE {owner}"
            yield f"GRANT SELECT ON {schema}.{view} TO {names}"
            yield f"SET ROLE {OWNER}"
