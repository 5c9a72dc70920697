"""Reporting behind HTTP, with a tenant's history in a real PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from libs.common.clock import FakeClock
from libs.common.db.database import Database
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from libs.common.web.auth import Authenticator, new_key
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from services.reporting.bootstrap import build
from tests.integration.reporting import histories
from tests.integration.reporting.histories import DealPast, Pipeline

PEPPER = b"p" * 32
NOW = datetime(2017, 6, 1, 12, 0, 7, tzinfo=UTC)


@dataclass
class Reporting:
    """A running application and a hand on its database."""

    app: FastAPI
    connection: asyncpg.Connection
    clock: FakeClock
    keys: dict[str, str] = field(default_factory=dict)

    async def tenant(self, name: str, *pipelines: Pipeline, **settings: Any) -> None:
        """A tenant with these pipelines and one admin key."""
        await histories.write_tenant(self.connection, name, **settings)
        await histories.write_generation(self.connection, name)
        for pipeline in pipelines:
            await histories.write_pipeline(self.connection, name, pipeline)
        self.keys[name] = await self.key(name, "admin")

    async def key(self, tenant: str, *scopes: str) -> str:
        made = new_key(PEPPER)
        await self.connection.execute(
            """INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)
            VALUES ($1, $2, $3, 'test', $4, now())""",
            tenant, made.key_id, made.key_hash, list(scopes),
        )  # fmt: skip
        return made.plain

    async def deals(self, tenant: str, *deals: DealPast) -> None:
        await histories.write_deals(self.connection, tenant, deals)

    async def ask(
        self,
        tenant: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        sent = {"Authorization": f"Bearer {key or self.keys[tenant]}", **headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://headway") as client:
            return await client.get(path, params=params, headers=sent)

    async def get(self, tenant: str, path: str, **params: Any) -> dict[str, Any]:
        """The body of a good answer."""
        answer = await self.ask(tenant, path, params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
async def reporting(database_url: str) -> AsyncIterator[Reporting]:
    clock = FakeClock(NOW)
    async with _app(database_url, clock) as app:
        connection = await asyncpg.connect(database_url)
        try:
            yield Reporting(app, connection, clock)
        finally:
            await connection.close()


@asynccontextmanager
async def _app(url: str, clock: FakeClock) -> AsyncIterator[FastAPI]:
    resources = Resources(clock, CommonSettings(), url, MemoryLog(clock), b"k" * 32, "test")
    keys = Database(url, "headway_reporting_api")
    authenticator = Authenticator(keys, PEPPER, clock)
    app = create_app(
        [build(resources)], authenticator=authenticator, cursors=Cursors(b"c" * 32), clock=clock
    )
    async with app.router.lifespan_context(app):
        yield app
    await keys.close()
