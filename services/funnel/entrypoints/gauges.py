"""Gauges of what waits in the projection, refreshed now and then."""

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.db.database import Database
from services.funnel.adapters.gauges import waiting


class Gauges:
    """`show` is a step of a `Stepper`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def show(self) -> bool:
        metrics.show_projection()
        async with self._database.across_tenants() as tx:
            found = await waiting(tx)
        metrics.FUNNEL_REFOLD_QUEUE.set(found.refolds)
        metrics.FUNNEL_REBUILDS.set(found.rebuilds)
        if found.watermark is not None:
            age = (self._clock.now() - found.watermark).total_seconds()
            metrics.FUNNEL_WATERMARK_AGE.set(max(0.0, age))
        return False
