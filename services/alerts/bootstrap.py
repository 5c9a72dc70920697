"""Alerts' composition root."""

from collections.abc import Sequence

from libs.common.contracts.topics import ALERT_EVENTS, ALERT_STATE, DEALS, dlq
from libs.common.db.database import Database
from libs.common.db.idempotency import Idempotency
from libs.common.eventlog.consumer import Announcing, Consumer
from libs.common.eventlog.loop import ConsumerLoop
from libs.common.eventlog.relay import OutboxRelay
from libs.common.expr.cel import Cel
from libs.common.ids import uuid7
from libs.common.runtime import Resources, Service
from libs.common.stepping import Step, Stepper
from libs.common.web.checks import database_check
from services.alerts.adapters.chores import Chores
from services.alerts.adapters.work import PostgresWork
from services.alerts.app.compiling import Compiler
from services.alerts.app.consuming import DealsHandler
from services.alerts.app.isolating import Isolating
from services.alerts.app.moments import Moments
from services.alerts.app.sandboxes import Sandboxes
from services.alerts.app.scheduling import Scheduler
from services.alerts.app.settling import Settling
from services.alerts.app.state import AlertsState
from services.alerts.entrypoints.api import routers
from services.alerts.settings import AlertsSettings

GROUP = "alerts"
TOPICS_NEEDED = (DEALS, dlq(DEALS), ALERT_EVENTS, ALERT_STATE)


def build(resources: Resources, settings: AlertsSettings | None = None) -> Service:
    """Alerts over opened resources."""
    return _Wiring(resources, settings or AlertsSettings.model_construct()).service()


class _Wiring:
    def __init__(self, resources: Resources, settings: AlertsSettings) -> None:
        self._resources, self._settings = resources, settings
        self._clock, self._log = resources.clock, resources.log
        url = resources.database_url
        self._api = Database(url, "headway_alerts_api", statement_timeout=10)
        self._worker = Database(url, "headway_alerts_worker", statement_timeout=30)
        self._relay = OutboxRelay(
            "alerts", self._worker, self._log, self._clock, resources.process_id
        )
        self._compiler = Compiler(Cel())
        judge = Isolating(self._compiler, lambda: str(uuid7(self._clock)))
        moments = Moments(self._clock)
        self._scheduler = Scheduler(self._worker, PostgresWork, judge, self._log, moments)
        self._sandboxes = Sandboxes(self._worker, PostgresWork, judge, self._log)

    def service(self) -> Service:
        steppers = self._steppers()
        consumer = self._consumer(steppers[0])
        return Service(
            name="alerts",
            state=self._state(),
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

    def _state(self) -> AlertsState:
        return AlertsState(
            self._api,
            self._worker,
            self._clock,
            self._log,
            self._compiler,
            Settling(self._worker, PostgresWork, self._log),
            self._settings.max_rules,
        )

    def _consumer(self, judging: Stepper) -> Consumer:
        loop = ConsumerLoop(
            self._log,
            self._worker,
            "alerts",
            (DEALS,),
            GROUP,
            self._resources.process_id,
            Announcing(DealsHandler(PostgresWork), (judging.wake,)),
            self._clock,
        )
        return Consumer(loop, self._log, TOPICS_NEEDED, self._resources.settings.partitions)

    def _steppers(self) -> Sequence[Stepper]:
        poll, chores, scheduler = self._settings.poll, Chores(self._worker), self._scheduler
        return (
            self._stepper("judge", scheduler.judge, poll),
            self._stepper("sandboxes", self._sandboxes.step, poll),
            self._stepper("imports", scheduler.brought, 1.0),
            self._stepper("sweeps", chores.sweep, 2 * poll),
            self._stepper("tombstones", chores.bury, 60.0),
            self._stepper("idempotency", self._forget, 30.0),
            self._stepper("gauges", scheduler.look, 5.0),
        )

    async def _forget(self) -> bool:
        """Throw away the answers of commands whose keys have expired."""
        return await Idempotency.forget(self._worker, "alerts", self._clock.now())

    def _stepper(self, name: str, step: Step, poll: float) -> Stepper:
        """What a step has written is published at once."""

        async def announced() -> bool:
            more = await step()
            if more:
                self._relay.wake()
            return more

        return Stepper(f"alerts-{name}", announced, poll, self._clock)

    async def _stop(self) -> None:
        await self._api.close()
        await self._worker.close()
