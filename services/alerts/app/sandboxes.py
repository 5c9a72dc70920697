"""Sandbox tenants: judged by their own clock, once everything accepted so far is folded.

What arrives meanwhile waits for the next look.
"""

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from services.alerts.app.accepted import Captured, appended, capture, folded
from services.alerts.app.isolating import Isolating
from services.alerts.app.judging import count
from services.alerts.app.scheduling import CHUNK, WorkOf
from services.alerts.app.work import Sandbox
from services.alerts.domain.reconcile import Moment


class Sandboxes:
    """The scheduler's step for sandboxes."""

    def __init__(
        self, database: Database, work_of: WorkOf, judge: Isolating, log: EventLog
    ) -> None:
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
        captured = await self._accepted(sandbox)
        if captured is None:
            return False
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

    async def _accepted(self, sandbox: Sandbox) -> Captured | None:
        """Where the log ends with everything accepted by an instant; `None`: not all is there yet.

        What an import appends after a look at the ends is beyond them: once it has ended they are
        looked at anew.
        """
        held = self._captured.get(sandbox)
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            now, imports = await work.now(), await work.imports(sandbox.tenant_id)
            if held is not None and imports.complete(held.at):
                return held
            if not await appended(work, sandbox.tenant_id, now):
                return None
        self._captured[sandbox] = await capture(self._log, CRM_EVENTS, now)
        return self._captured[sandbox]
