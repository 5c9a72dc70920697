"""Connections that wait in a pool: which are asked whether they live, and which replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.common.db.liveness import ask_idle_ones
from libs.common.db.urls import sqlalchemy_url

pytestmark = pytest.mark.postgres
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def pooled(database_url: str) -> AsyncIterator[Callable[[float], AsyncEngine]]:
    """Makes an engine of one connection that is asked after so many idle seconds."""
    engine = create_async_engine(sqlalchemy_url(database_url), pool_size=1, max_overflow=0)

    def make(idle: float) -> AsyncEngine:
        ask_idle_ones(engine.sync_engine, idle)
        return engine

    yield make
    await engine.dispose()


async def backend(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(PID) or 0)


async def driver_of(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return (await connection.get_raw_connection()).driver_connection


def asked(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Connections that are asked from now on."""
    pinged: list[Any] = []
    really = engine.dialect.do_ping

    def ping(connection: Any) -> bool:
        pinged.append(connection)
        return really(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", ping)
    return pinged


async def test_only_a_connection_that_lay_idle_is_asked(
    pooled: Callable[[float], AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = pooled(60)
    pinged = asked(engine, monkeypatch)
    assert await backend(engine) == await backend(engine)
    assert not pinged
    ask_idle_ones(engine.sync_engine, 0)
    assert await backend(engine) == await backend(engine)
    assert len(pinged) == 2


async def test_what_the_server_ended_is_replaced_without_asking(
    pooled: Callable[[float], AsyncEngine], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = pooled(60)
    pinged = asked(engine, monkeypatch)
    driver = await driver_of(engine)
    ended = driver.get_server_pid()
    admin = await asyncpg.connect(database_url)
    await admin.execute("SELECT pg_terminate_backend($1)", ended)
    await admin.close()
    async with asyncio.timeout(30):
        while not driver.is_closed():
            await asyncio.sleep(0.01)
    assert await backend(engine) != ended
    assert not pinged


async def test_an_idle_one_that_cannot_answer_is_replaced(
    pooled: Callable[[float], AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = pooled(0)
    mute = await backend(engine)

    def lost(connection: Any) -> bool:
        connection.driver_connection.terminate()
        raise engine.dialect.loaded_dbapi.InterfaceError("connection is closed")

    monkeypatch.setattr(engine.dialect, "do_ping", lost)
    assert await backend(engine) != mute
