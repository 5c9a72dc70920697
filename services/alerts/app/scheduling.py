"""The scheduler: steps for real tenants, each a transaction, that tell if there may be more."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import metrics
from libs.common.contracts.topics import DEALS
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog, LogError
from services.alerts.app.isolating import Isolating
from services.alerts.app.judging import Judged, count
from services.alerts.app.moments import Moments
from services.alerts.app.ports import SubjectKey
from services.alerts.app.work import Work, digest_of
from services.alerts.domain.reconcile import LATE, Moment

CHUNK = 500
WorkOf = Callable[[AsyncConnection], Work]


class Scheduler:
    """Judges what has changed, what is due, and what imports have brought.

    While the database's clock is in doubt nothing is judged.
    """

    def __init__(
        self, database: Database, work_of: WorkOf, judge: Isolating, log: EventLog, moments: Moments
    ) -> None:
        self._database, self._work_of = database, work_of
        self._judges, self._log, self._moments = judge, log, moments
        self._partitions = 0

    async def judge(self) -> bool:
        """One turn: what has changed, then what is due."""
        changed = await self.changed()
        return await self.due() or changed

    async def changed(self) -> bool:
        """Judge the subjects of which the log has told something new."""
        return await self._step(lambda work, sandboxes, _: work.pending(sandboxes, CHUNK))

    async def due(self) -> bool:
        """Judge the subjects with a due clock, as far as facts are complete."""
        return await self._step(
            lambda work, sandboxes, moment: work.due(sandboxes, moment.sure, CHUNK)
        )

    async def _step(
        self,
        claim: Callable[[Work, Sequence[str], Moment], Awaitable[Sequence[SubjectKey]]],
    ) -> bool:
        partitions = await self._deals_partitions()
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            moment = await self._moments.real(work, partitions)
            if moment is None:
                return False
            subjects = await claim(work, await work.sandboxes(), moment)
            tenants = _by_tenant(subjects)
            judged = [
                await self._judges.judge(
                    await work.bind(tenant_id), tenant_id, of, moment, len(tenants)
                )
                for tenant_id, of in tenants.items()
            ]
        for found in judged:
            count(found)
        return bool(subjects)

    async def brought(self) -> bool:
        """Judge what imports have brought, once they have ended and all of them is folded."""
        partitions = await self._deals_partitions()
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            tenants = await work.tenants_with_brought(await work.sandboxes())
        more = [await self._brought(tenant_id, partitions) for tenant_id in tenants]
        return any(more)

    async def _brought(self, tenant_id: str, partitions: int) -> bool:
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            moment = await self._moments.real(work, partitions)
            imports = await work.imports(tenant_id)
            if moment is None or not imports.complete(moment.sure):
                return False
            held = replace(moment, brought=True)
            judged = await self._by_import(work, tenant_id, held)
        for found in judged:
            count(found)
        return bool(judged)

    async def _by_import(self, work: Work, tenant_id: str, held: Moment) -> list[Judged]:
        """What each import brought, under a digest of its own."""
        brought = await work.brought(tenant_id, CHUNK)
        store = await work.bind(tenant_id)
        return [
            await self._judges.judge(
                store,
                tenant_id,
                subjects,
                replace(held, digest_id=digest_of(tenant_id, import_id)),
                len(brought),
            )
            for import_id, subjects in brought.items()
        ]

    async def look(self) -> bool:
        """Show what waits for us, and how late timers are; what an import holds is neither."""
        metrics.show_alerts()
        await self._show_waiting()
        partitions = await self._count_partitions()
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            moment = await self._moments.real(work, partitions)
            oldest = await work.oldest_timer(await work.sandboxes())
        if moment is not None:
            _show(moment, oldest)
        return False

    async def _show_waiting(self) -> None:
        """Asked of the database alone: while log or clock keep us from judging, it grows."""
        async with self._database.across_tenants() as tx:
            work = self._work_of(tx)
            found = await work.waiting(await work.sandboxes())
        metrics.ALERTS_PENDING.set(found.subjects)
        metrics.ALERTS_PENDING_AGE.set(found.seconds)

    async def _deals_partitions(self) -> int:
        return self._partitions or await self._count_partitions()

    async def _count_partitions(self) -> int:
        """Asked anew at every look, as topics grow; what is known counts while the log is away."""
        try:
            self._partitions = len(await self._log.ends(DEALS))
        except LogError:
            if not self._partitions:
                raise
        return self._partitions


def _by_tenant(subjects: Sequence[SubjectKey]) -> dict[str, list[str]]:
    """Each tenant's in the order in which they were claimed: what does not fit goes on waiting."""
    found: dict[str, list[str]] = defaultdict(list)
    for tenant_id, subject_id in subjects:
        found[tenant_id].append(subject_id)
    return found


def _show(moment: Moment, oldest: datetime | None) -> None:
    """Clocks that have waited too long, for facts or for us, are the operators' business."""
    late = (moment.now - oldest).total_seconds() if oldest else 0.0
    metrics.ALERTS_TIMER_LATENESS.set(max(0.0, late))
    metrics.ALERTS_DATA_LATE.set(late > LATE.total_seconds())
