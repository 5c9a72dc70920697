"""What `settled` of a sandbox's clock means."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from libs.common.contracts.topics import CRM_EVENTS, DEALS
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from services.alerts.app.accepted import Captured, appended, capture, folded
from services.alerts.app.scheduling import WorkOf
from services.alerts.app.work import Sandbox

PATIENCE, MOMENT = 5, 0.1
"""How often, and how far apart in seconds, a question is looked at before its answer is no."""


class Settling:
    """Looks at everything that a sandbox waits for; changes nothing."""

    def __init__(self, database: Database, work_of: WorkOf, log: EventLog) -> None:
        self._database, self._work_of, self._log = database, work_of, log

    async def settled(self, sandbox: Sandbox) -> bool:
        """Whether all that was accepted by now is folded, told, consumed, judged and published.

        Others' events keep the log moving: what is asked for is where it ends now, for a moment.
        """
        async with self._database.across_tenants() as tx:
            now = await self._work_of(tx).now()
        if not await _soon(lambda: self._appended(sandbox, now)):
            return False
        accepted = await capture(self._log, CRM_EVENTS, now)
        if not await _soon(lambda: self._folded(sandbox, accepted)):
            return False
        told = await capture(self._log, DEALS, now)
        return await _soon(lambda: self._done(sandbox, told))

    async def _appended(self, sandbox: Sandbox, asked: datetime) -> bool:
        """Also by what each process of ingest has said since: before, it may have spooled."""
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            if not await appended(work, sandbox.tenant_id, asked):
                return False
            return (await work.acceptance()).told(asked)

    async def _folded(self, sandbox: Sandbox, accepted: Captured) -> bool:
        async with self._database.for_tenant(sandbox.tenant_id) as tx:
            work = self._work_of(tx)
            if not await folded(work, sandbox.tenant_id, accepted):
                return False
            return not await work.unpublished(sandbox)

    async def _done(self, sandbox: Sandbox, told: Captured) -> bool:
        async with self._database.for_tenant(sandbox.tenant_id) as tx:
            work = self._work_of(tx)
            if not told.reached(await work.consumed(DEALS, told.topic_id)):
                return False
            return not await work.waits(sandbox)


async def _soon(holds: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it holds now, or within a moment."""
    for _ in range(PATIENCE):
        if await holds():
            return True
        await asyncio.sleep(MOMENT)
    return False
