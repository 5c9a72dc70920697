"""Wires the funnel: pools, the consumer, its workers, routers. Nothing happens at import."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.topics import CONTEXT, CRM_EVENTS, DEALS, dlq
from libs.common.db.database import Database
from libs.common.db.idempotency import Idempotency
from libs.common.db.leases import Lease
from libs.common.eventlog.consumer import Announcing, Consumer
from libs.common.eventlog.loop import ConsumerLoop, LoopSettings
from libs.common.eventlog.relay import OutboxRelay
from libs.common.runtime import Resources, Service
from libs.common.stepping import Exclusive, Step, Stepper
from libs.common.web.checks import database_check
from services.funnel.adapters.store import PostgresStore
from services.funnel.adapters.watermarks import PostgresWatermarks
from services.funnel.app.batch import BatchHandler
from services.funnel.app.projector import Projector
from services.funnel.app.rebuild import Rebuilds
from services.funnel.app.refold import Refolds
from services.funnel.app.state import FunnelState
from services.funnel.app.watermark import GROUP, Watermarks
from services.funnel.entrypoints.api import routers
from services.funnel.entrypoints.gauges import Gauges
from services.funnel.settings import FunnelSettings

TOPICS_NEEDED = (CRM_EVENTS, dlq(CRM_EVENTS), DEALS, CONTEXT)
API_SECONDS = 10.0
WATERMARK_SECONDS = 0.5
GAUGE_SECONDS = 5.0
FORGET_SECONDS = 30.0


def build(resources: Resources, settings: FunnelSettings | None = None) -> Service:
    """The funnel over opened resources."""
    return _Wiring(resources, settings or FunnelSettings.model_construct()).service()


class _Wiring:
    def __init__(self, resources: Resources, settings: FunnelSettings) -> None:
        self._resources, self._settings = resources, settings
        url = resources.database_url
        self._clock, self._log = resources.clock, resources.log
        self._api = Database(url, "headway_funnel_api", statement_timeout=API_SECONDS)
        self._worker = Database(url, "headway_funnel_worker", statement_timeout=30)
        self._relay = OutboxRelay(
            "funnel", self._worker, self._log, self._clock, resources.process_id
        )
        self._projector = Projector(resources.process_id)
        self._refolds = Refolds(self._worker, PostgresStore, self._projector, self._clock)
        self._drain = self._stepper("refold", self._refolds.drain)

    def service(self) -> Service:
        consumer, steppers = self._consumer(), self._steppers()
        return Service(
            name="funnel",
            state=FunnelState(self._api, self._worker, self._clock, self._log),
            routers=routers,
            workers=(consumer, self._relay, *steppers),
            readiness={
                "database": database_check(self._api),
                "consumer": consumer.check,
                "relay": self._relay.check,
                **{stepper.name: stepper.check for stepper in steppers},
            },
            stop=self._stop,
        )

    def _consumer(self) -> Consumer:
        handler = Announcing(
            BatchHandler(PostgresStore, self._projector, self._clock),
            (self._relay.wake, self._drain.wake),
        )
        loop = ConsumerLoop(
            self._log,
            self._worker,
            "funnel",
            (CRM_EVENTS,),
            GROUP,
            self._resources.process_id,
            handler,
            self._clock,
            self._loop_settings(),
        )
        return Consumer(loop, self._log, TOPICS_NEEDED, self._resources.settings.partitions)

    def _loop_settings(self) -> LoopSettings:
        most, usual = self._settings.batch_records, LoopSettings()
        return replace(usual, max_records=most, first_records=min(most, usual.first_records))

    def _steppers(self) -> Sequence[Stepper]:
        rebuilds = Rebuilds(self._worker, PostgresStore, self._clock)
        gauges = Gauges(self._worker, self._clock)
        return (
            self._drain,
            self._stepper("wake", self._refolds.wake),
            self._stepper("rebuild", rebuilds.step),
            self._stepper("watermark", self._watermark(), WATERMARK_SECONDS),
            self._stepper("gauges", gauges.show, GAUGE_SECONDS),
            self._stepper("idempotency", self._forget, FORGET_SECONDS),
        )

    def _watermark(self) -> Exclusive:
        def store_of(tx: AsyncConnection) -> PostgresWatermarks:
            return PostgresWatermarks(tx, GROUP)

        watermarks = Watermarks(self._worker, store_of, self._log, self._clock)
        lease = Lease("funnel", "watermark", self._resources.process_id)
        return Exclusive(watermarks.step, self._worker, lease)

    async def _forget(self) -> bool:
        """Throw away the answers of commands whose keys have expired."""
        return await Idempotency.forget(self._worker, "funnel", self._clock.now())

    def _stepper(self, name: str, step: Step | Exclusive, poll: float | None = None) -> Stepper:
        return Stepper(f"funnel-{name}", step, poll or self._settings.poll, self._clock)

    async def _stop(self) -> None:
        await self._api.close()
        await self._worker.close()
