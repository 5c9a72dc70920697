"""An ingest service behind its HTTP surface, with a log that can be told to fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from libs.common.ids import derived_key
from libs.common.runtime import Resources, Service, run_workers
from libs.common.settings import CommonSettings
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from libs.common.web.limits import limits_of
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.ingest.bootstrap import build
from services.ingest.settings import IngestSettings, QuotaSettings
from tests.integration.ingest.fakes import ScriptedLog

SECRET = b"a secret of tests"
PEPPER = derived_key(SECRET, "api-keys")
SETTINGS = IngestSettings(
    lookup_deadline=10, index_deadline=10, append_deadline=10, import_poll=0.05, export_page=3,
    spool_sample=0, spool_max_bytes=100_000, drain_longest_pause=0.1,
)  # fmt: skip


@dataclass
class Api:
    """Clients of one running ingest; `client` speaks with an admin key of `tenant`."""

    service: Service
    log: Any
    operator: httpx.AsyncClient
    client: httpx.AsyncClient
    tenant: str
    transport: httpx.ASGITransport

    def with_key(self, key: str | None) -> httpx.AsyncClient:
        return _client(self.transport, key)

    async def new_tenant(self, tenant_id: str) -> httpx.AsyncClient:
        answer = await self.operator.post("/v1/tenants", json={"id": tenant_id})
        assert answer.status_code == 201, answer.text
        return self.with_key(answer.json()["api_key"])

    async def post(self, *events: Any, **options: Any) -> httpx.Response:
        """One event, or a batch of several."""
        body = events[0] if len(events) == 1 else list(events)
        return await self.client.post("/v1/events", json=body, **options)

    async def ended(self, import_id: str) -> dict[str, Any]:
        """The import once its worker has ended it."""
        stop = asyncio.Event()
        imports = [worker for worker in self.service.workers if worker.name == "ingest-imports"]
        working = asyncio.create_task(run_workers(imports, stop))
        try:
            async with asyncio.timeout(30):
                while True:
                    shown = (await self.client.get(f"/v1/imports/{import_id}")).json()
                    if shown["state"] != "running":
                        return dict(shown)
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await working


def _client(transport: httpx.ASGITransport, key: str | None) -> httpx.AsyncClient:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers)


def resources(url: str, folder: Path, log: EventLog, process_id: str = "p1") -> Resources:
    settings = CommonSettings(data_dir=folder, rate_failures=0)
    return Resources(SystemClock(), settings, url, log, SECRET, process_id)


@asynccontextmanager
async def running(
    built: Resources, settings: IngestSettings, quotas: QuotaSettings | None = None
) -> AsyncIterator[Any]:
    """The service and its application, started."""
    service = build(built, settings, quotas)
    keys = Database(built.database_url, "headway_ingest_api", pool_size=2)
    app = create_app(
        [service],
        authenticator=Authenticator(keys, built.key_for("api-keys"), built.clock),
        cursors=Cursors(built.key_for("cursors")),
        clock=built.clock,
        limits=limits_of(built.settings, built.clock),
    )
    async with app.router.lifespan_context(app):
        yield service, httpx.ASGITransport(app=app, raise_app_exceptions=False)
    await keys.close()


_operator_keys: dict[str, str] = {}


async def operator_key(url: str) -> str:
    """The operator key of a test database, made once."""
    if url not in _operator_keys:
        key = await ensure_operator_key(url, PEPPER, SystemClock())
        assert key is not None
        _operator_keys[url] = key
    return _operator_keys[url]


@pytest.fixture
async def api(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Api]:
    log = ScriptedLog()
    async with running(resources(database_url, tmp_path, log), SETTINGS) as (service, transport):
        operator = _client(transport, await operator_key(database_url))
        tenant = "t" + format(abs(hash(request.node.name)), "x")
        api = Api(service, log, operator, _client(transport, None), tenant, transport)
        api.client = await api.new_tenant(tenant)
        yield api
