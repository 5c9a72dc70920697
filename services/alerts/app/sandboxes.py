"""Sandbox tenants: judged by their own clock, once everything accepted so far is folded.

Instead of a watermark the gate asks for positions: the ends of the log when there was something to
do. What arrives meanwhile waits for the next look.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.common.contracts.topics import CRM_EVENTS, DEALS
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from services.alerts.app.judging import Judge, count
from services.alerts.app.scheduling import CHUNK, WorkOf
from services.alerts.app.work import Sandbox, Work
from services.alerts.domain.reconcile import Moment

PATIENCE, MOMENT = 5, 0.1
"""How often, and how far apart in seconds, a question is looked at before its answer is no."""


@dataclass(frozen=True, slots=True)
class Captured:
    """Where the log ended at an instant (of the database's clock)."""

    at: datetime
    topic_id: str
    ends: Mapping[int, int]

    def reached(self, positions: Mapping[int, int]) -> bool:
        """Whether a reader has read everything up to there."""
        return all(positions.get(n, 0) >= end for n, end in self.ends.items())


async def capture(log: EventLog, topic: str, at: datetime) -> Captured:
    """The ends of a topic; raises `LogError`."""
    topic_id = await log.topic_id(topic)
    ends = await log.ends(topic)
    # An empty partition has never been read, and needs not be.
    return Captured(at, topic_id, {p.number: e.end for p, e in ends.items() if e.end > e.start})


class Sandboxes:
    """The scheduler's step for sandboxes, and what `settled` means."""

    def __init__(self, database: Database, work_of: WorkOf, judge: Judge, log: EventLog) -> None:
        self._database, self._work_of = database, work_of
        self._judge, self._log = judge, log
        self._captured: dict[Sandbox, Captured] = {}

    async def step(self) -> bool:
        """Judge a part of each sandbox that has something to judge; whether there may be more."""
        async with self._database.across_tenants() as tx:
            busy = await self._work_of(tx).busy_sandboxes()
        known = self._captured
        self._captured = {sandbox: known[sandbox] for sandbox in busy if sandbox in known}
        more = [await self._judged(sandbox) for sandbox in busy]
        return any(more)

    async def _judged(self, sandbox: Sandbox) -> bool:
        captured = self._captured.get(sandbox) or await self._capture(sandbox)
        async with self._database.for_tenant(sandbox.tenant_id) as tx:
            work = self._work_of(tx)
            if not await folded(work, sandbox.tenant_id, captured):
                return False
            subjects = await work.of_sandbox(sandbox, captured.at, CHUNK)
            moment = Moment(sandbox.now, sandbox.now, await work.now(), sandbox=True)
            store = await work.bind(sandbox.tenant_id, sandbox=True)
            judged = await self._judge.judge(store, sandbox.tenant_id, subjects, moment)
            if not subjects:
                await work.release(sandbox, captured.at)
        count(judged)
        if not subjects:
            del self._captured[sandbox]
        return bool(subjects)

    async def _capture(self, sandbox: Sandbox) -> Captured:
        async with self._database.across_tenants() as tx:
            now = await self._work_of(tx).now()
        found = await capture(self._log, CRM_EVENTS, now)
        self._captured[sandbox] = found
        return found

    async def settled(self, sandbox: Sandbox) -> bool:
        """Whether all that was accepted by now is folded, told, consumed, judged and published.

        Others' events keep the log moving: what is asked for is where it ends now, for a moment.
        """
        async with self._database.across_tenants() as tx:
            now = await self._work_of(tx).now()
        accepted = await capture(self._log, CRM_EVENTS, now)
        for _ in range(PATIENCE):
            if await self._folded(sandbox, accepted):
                break
            await asyncio.sleep(MOMENT)
        else:
            return False
        told = await capture(self._log, DEALS, now)
        for _ in range(PATIENCE):
            if await self._done(sandbox, told):
                return True
            await asyncio.sleep(MOMENT)
        return False

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


async def folded(work: Work, tenant_id: str, captured: Captured) -> bool:
    """Whether what was accepted by then is appended and folded, and no import runs."""
    oldest = await work.oldest_unappended()
    if oldest is not None and oldest <= captured.at:
        return False
    if (await work.imports(tenant_id)).running or await work.refolds(tenant_id):
        return False
    return captured.reached(await work.folded(CRM_EVENTS, captured.topic_id))
