"""Every service of one process, asked by an admin, with limits that a test sets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.clock import FakeClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from libs.common.web.api_keys import new_key
from services.ingest import bootstrap as ingest
from services.ingest.settings import QuotaSettings
from services.standalone import composition
from tests.integration.interface.drawing import sendable

AWAY = {"oidc_issuer": "https://login.example.com", "oidc_audience": "headway",
        "oidc_jwks_url": "http://127.0.0.1:1/jwks"}  # fmt: skip
"""An issuer that cannot be reached: nobody can say whether its tokens are good."""


class Hasty(FakeClock):
    """Each look at it takes ten seconds, so that whatever waits has soon waited long enough."""

    def monotonic(self) -> float:
        self.advance(timedelta(seconds=10))
        return super().monotonic()


@dataclass
class Interface:
    app: Any
    client: httpx.AsyncClient
    """Without a credential, as CRMs come."""
    key: str = ""

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As the tenant's admin."""
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def send(self, case: Any, credential: str = "") -> httpx.Response:
        """A request that was drawn."""
        return await self.client.request(**sendable(case, credential or self.key))


Opened = Callable[..., AbstractAsyncContextManager[Interface]]


@pytest.fixture
def opened(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the services; takes a tenant's name, `quotas` of ingest, a clock, and settings."""

    @asynccontextmanager
    async def opening(
        tenant: str,
        quotas: QuotaSettings | None = None,
        kind: type[FakeClock] = FakeClock,
        **settings: Any,
    ) -> AsyncIterator[Interface]:
        own = (partial(ingest.build, quotas=quotas), *composition.BUILDERS[1:])
        monkeypatch.setattr(composition, "BUILDERS", own)
        clock = kind(datetime.now(UTC))
        chosen = CommonSettings(data_dir=tmp_path, partitions=2, **settings)
        resources = Resources(clock, chosen, database_url, MemoryLog(clock), b"k" * 32, "interface")
        async with composition.composed(resources) as built, _running(built.app) as interface:
            interface.key = await _tenant(database_url, tenant, resources.key_for("api-keys"))
            yield interface

    return opening


@asynccontextmanager
async def _running(app: Any) -> AsyncIterator[Interface]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://all") as client,
    ):
        yield Interface(app, client)


async def _tenant(url: str, tenant: str, pepper: bytes) -> str:
    """Its admin's key."""
    key, connection = new_key(pepper), await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', false, now())",
        tenant,
    )
    await connection.execute(
        "INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)"
        " VALUES ($1, $2, $3, 'k', '{admin}', now())",
        tenant, key.key_id, key.key_hash,
    )  # fmt: skip
    await connection.close()
    return key.plain
