"""Wires ingest: pools, acceptance, imports, routers. Nothing happens at import."""

from typing import get_args

from libs.common import metrics
from libs.common.contracts.topics import CRM_EVENTS, TOPICS
from libs.common.db.database import Database
from libs.common.eventlog.port import TopicConfig
from libs.common.expr.cel import Cel
from libs.common.runtime import Resources, Service
from libs.common.web.checks import database_check, log_check
from services.ingest.adapters.acceptance import SqlIndex
from services.ingest.adapters.connection_counts import CountsWriter
from services.ingest.adapters.connection_lookup import ConnectionLookup
from services.ingest.adapters.directory import Directory
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.adapters.imports import SqlClaims
from services.ingest.adapters.keeping import SqlKeeper
from services.ingest.adapters.processes import Heartbeat
from services.ingest.adapters.reads import Reads
from services.ingest.adapters.recordings import SqlRecordings
from services.ingest.adapters.sandboxes import SqlSandboxes
from services.ingest.adapters.sealing import Sealer
from services.ingest.adapters.spool.files import SpoolLimits
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app.accept import Acceptor
from services.ingest.app.connection_counts import ConnectionCounts
from services.ingest.app.draining import Drainer
from services.ingest.app.keeping import LaterKeeper
from services.ingest.app.own_topic import OwnTopic
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.receiving import Receiver
from services.ingest.app.recording import Recorder
from services.ingest.app.redriving import Redriver
from services.ingest.app.run_import import ImportRunner
from services.ingest.app.spool import Spool
from services.ingest.app.spools import Spools
from services.ingest.app.status import StatusReader
from services.ingest.app.unappended import Unappended
from services.ingest.domain.crm.bounds import REDRIVEN, Bounds
from services.ingest.domain.crm.model import RefusalCode
from services.ingest.domain.crm.registry import connectors
from services.ingest.entrypoints import (
    api_keys,
    connection_samples,
    connections,
    connections_listed,
    dead_letters,
    deliveries,
    directory,
    events,
    imports,
    letter_workers,
    mappings,
    redriving,
    refreshes,
    webhooks,
)
from services.ingest.entrypoints.checks import acceptance_check, spool_check
from services.ingest.entrypoints.import_worker import ImportWorker
from services.ingest.entrypoints.state import IngestState
from services.ingest.settings import DeliverySettings, IngestSettings, QuotaSettings

_STOP_SECONDS = 5.0
_ROUTERS = (
    events.router, imports.router, mappings.router, directory.router, connections.router,
    connections_listed.router, refreshes.router, connection_samples.router, webhooks.router,
    deliveries.router, dead_letters.router, redriving.router, api_keys.router,
)  # fmt: skip


def build(
    resources: Resources,
    settings: IngestSettings | None = None,
    quotas: QuotaSettings | None = None,
    deliveries: DeliverySettings | None = None,
) -> Service:
    """Ingest over opened resources; `settings` is for tests. What is taken of a delivery is told by
    `quotas`, or by `deliveries` where tenants have none."""
    allowed = quotas or QuotaSettings.model_construct()
    taken = deliveries or allowed
    bounds = Bounds(taken.delivery_parts, taken.delivery_bytes)
    return _Wiring(resources, settings or IngestSettings(), allowed, bounds).service()


class _Wiring:
    def __init__(
        self,
        resources: Resources,
        settings: IngestSettings,
        quotas: QuotaSettings,
        bounds: Bounds,
    ) -> None:
        self._resources, self._settings, self._quotas = resources, settings, quotas
        self._connectors = connectors(bounds)
        self._patient = connectors(bounds.or_more(REDRIVEN))
        self._events = EventQuotas(quotas, resources.clock)
        url = resources.database_url
        self._api = Database(url, "headway_ingest_api", statement_timeout=3)
        self._exports = Database(url, "headway_ingest_api", pool_size=2, statement_timeout=60)
        self._worker = Database(url, "headway_ingest_worker", statement_timeout=30)
        self._sandboxes, self._counts = SqlSandboxes(self._worker), ConnectionCounts()
        self._recorder = Recorder(
            SqlRecordings(self._worker, resources.clock),
            resources.key_for("pseudonyms"),
            resources.clock,
        )
        self._unappended = Unappended()
        self._expressions, self._sealer = Cel(), Sealer(resources.key_for("connections"))
        self._lookup = ConnectionLookup(
            self._api, self._sealer, self._expressions, resources.clock, settings
        )
        self._counting = CountsWriter(
            self._worker, self._counts, resources.clock, self._lookup.look_again
        )
        self._index = SqlIndex(self._worker)
        self._topic, self._spools = self._own_topic(), self._spooling()
        self._keeper = LaterKeeper(SqlKeeper(self._worker), self._folders("put-aside"), settings)
        self._acceptor = Acceptor(
            resources.log, self._index, resources.clock, self._unappended, self._spools, settings,
            self._events, self._keeper,
        )  # fmt: skip
        self._heartbeat = Heartbeat(
            self._worker, resources.process_id, self._unappended.oldest, self._spools,
            resources.clock, settings,
        )  # fmt: skip

    def _spooling(self) -> Spools:
        resources, settings = self._resources, self._settings

        def drainer(spool: Spool) -> Drainer:
            return Drainer(spool, resources.log, self._index, resources.clock, settings)

        return Spools(self._folders("spool"), drainer, resources.clock, settings)

    def _folders(self, name: str) -> SpoolFolders:
        limits = SpoolLimits(self._settings.spool_max_bytes, self._settings.spool_segment_bytes)
        return SpoolFolders(self._resources.settings.data_dir / name, limits)

    def service(self) -> Service:
        state = self._state()
        letters = letter_workers.reader(self._resources, self._worker)
        log = log_check(self._resources.log, made=True)
        return Service(
            name="ingest",
            state=state,
            routers=_ROUTERS,
            workers=(
                state.imports,
                letters,
                *letter_workers.chores(self._resources, self._worker),
            ),
            readiness={
                "acceptance": acceptance_check(self._spools, log),
                "dead-letters": letters.check,
            },
            warnings={
                "log": log,
                "spool": spool_check(self._spools),
                "database": database_check(self._api),
            },
            start=self._start,
            stop=self._stop,
        )

    def _state(self) -> IngestState:
        clock, settings = self._resources.clock, self._settings
        files = ImportFiles(self._resources.settings.data_dir / "imports", settings)
        reads = Reads(self._api, self._exports, settings.export_page)
        return IngestState(
            acceptor=self._acceptor,
            receiver=self._receiver(),
            lookup=self._lookup,
            sealer=self._sealer,
            counting=self._counting,
            sandboxes=self._sandboxes,
            status=StatusReader(reads, clock),
            reads=reads,
            directory=Directory(self._worker, self._api, clock),
            files=files,
            imports=self._import_worker(files),
            expressions=self._expressions,
            redriver=Redriver(
                self._resources.log, self._unappended, self._connectors, self._patient, clock
            ),
            database=self._api,
            worker_database=self._worker,
            clock=clock,
            pepper=self._resources.key_for("api-keys"),
            settings=settings,
            quotas=self._events,
            quota_imports=self._quotas.quota_imports,
        )

    def _receiver(self) -> Receiver:
        clock = self._resources.clock
        return Receiver(
            self._connectors, self._acceptor, self._keeper, self._sandboxes, self._counts,
            self._recorder, clock, self._settings,
        )  # fmt: skip

    def _import_worker(self, files: ImportFiles) -> ImportWorker:
        resources, settings = self._resources, self._settings
        claims = SqlClaims(
            self._worker, resources.clock, resources.process_id, settings.import_lease
        )
        runner = ImportRunner(resources.log, claims, files, self._expressions, settings)
        return ImportWorker(runner, claims, files, resources.clock, settings)

    async def _start(self) -> None:
        await self._topic.start()
        await self._spools.open()
        await self._keeper.open()
        await self._heartbeat.start()
        metrics.show_webhooks(self._connectors, get_args(RefusalCode))
        await self._counting.start()
        await self._recorder.start()

    def _own_topic(self) -> OwnTopic:
        topic = TOPICS[CRM_EVENTS]
        config = TopicConfig(topic.name, self._resources.settings.partitions, topic.retention_days)
        return OwnTopic(self._resources.log, config)

    async def _stop(self) -> None:
        await self._topic.stop()
        await self._acceptor.close(_STOP_SECONDS)
        await self._spools.close(_STOP_SECONDS)
        await self._keeper.close(_STOP_SECONDS)
        await self._counting.stop()
        await self._recorder.stop()
        await self._heartbeat.stop()
        for database in (self._api, self._exports, self._worker):
            await database.close()
