"""An ingest with limits, whose minutes a test moves on, and which may wait for its log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from libs.common.clock import FakeClock
from libs.common.eventlog.port import NewRecord
from libs.common.settings import CommonSettings
from services.ingest.settings import QuotaSettings
from tests.integration.ingest.conftest import SETTINGS, Api, operator_key, resources, running
from tests.integration.ingest.fakes import ScriptedLog


class HeldLog(ScriptedLog):
    """A log that may be held back."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.held = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        self.held.set()
        await self.gate.wait()
        return await super().append(topic, records)


@dataclass
class LimitedApi(Api):
    """`minute` moves the clock of the process on."""

    clock: FakeClock

    def minute(self, seconds: float = 60) -> None:
        self.clock.advance(timedelta(seconds=seconds))


@asynccontextmanager
async def limited(
    url: str,
    folder: Path,
    tenant: str,
    quotas: QuotaSettings | None = None,
    common: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[LimitedApi]:
    """Quotas of ingest, settings of every process, and values of `IngestSettings`."""
    log, clock = HeldLog(), FakeClock(datetime.now(UTC))
    chosen = CommonSettings(data_dir=folder, **(common or {}))
    built = replace(resources(url, folder, log), clock=clock, settings=chosen)
    async with running(built, replace(SETTINGS, **settings), quotas) as (service, transport):
        api = LimitedApi(service, log, None, None, tenant, transport, clock)  # type: ignore[arg-type]
        api.operator = api.with_key(await operator_key(url))
        api.client = await api.new_tenant(tenant)
        yield api
