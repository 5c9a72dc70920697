"""Every service of one process, which believes the tokens of an issuer on loopback."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from libs.common.web.api_keys import new_key
from services.standalone.composition import composed
from tests.integration.oidc.issuing import Issuing, issuing
from tests.integration.oidc.minting import AUDIENCE, ISSUER, TENANT

SERVICES = {
    "ingest": "/v1/tenants/self",
    "funnel": "/v1/deals",
    "alerts": "/v1/rules",
    "reporting": "/v1/funnel/snapshot?pipeline_id=none",
}
"""A read of each, allowed to an admin."""


class Ahead:
    """The machine's clock, and what a test puts it ahead."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def monotonic(self) -> float:
        return time.monotonic() + self.by.total_seconds()


@dataclass
class World:
    issuer: Issuing
    clock: Ahead
    transport: httpx.ASGITransport
    api_key: str

    async def call(self, credential: str, path: str, **options: Any) -> httpx.Response:
        headers = {b"Authorization": f"Bearer {credential}".encode()}
        async with httpx.AsyncClient(transport=self.transport, base_url="http://all") as client:
            return await client.request(options.pop("method", "GET"), path, headers=headers,
                                        **options)  # fmt: skip

    async def statuses(self, credential: str) -> Sequence[int]:
        """What each service answers."""
        return [(await self.call(credential, path)).status_code for path in SERVICES.values()]


@asynccontextmanager
async def believing(url: str, folder: Path, issuer: Issuing) -> AsyncIterator[World]:
    clock = Ahead()
    settings = CommonSettings(
        data_dir=folder, partitions=2, rate_failures=0, oidc_issuer=ISSUER,
        oidc_audience=AUDIENCE, oidc_jwks_url=f"{issuer.url}/jwks",
    )  # fmt: skip
    resources = Resources(clock, settings, url, MemoryLog(clock), b"k" * 32, "oidc")
    api_key = await _tenant(url, resources.key_for("api-keys"))
    async with composed(resources) as composition:
        app = composition.app
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            yield World(issuer, clock, transport, api_key)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with issuing() as issuer, believing(database_url, tmp_path, issuer) as told:
        yield told


async def _tenant(url: str, pepper: bytes) -> str:
    key, connection = new_key(pepper), await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', false, now())"
        " ON CONFLICT DO NOTHING",
        TENANT,
    )
    await connection.execute(
        "INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)"
        " VALUES ($1, $2, $3, 'k', '{admin}', now())",
        TENANT, key.key_id, key.key_hash,
    )  # fmt: skip
    await connection.close()
    return key.plain
