"""Reporting's composition root."""

from libs.common.db.database import Database
from libs.common.runtime import Resources, Service
from services.reporting.adapters.stream_imports import EndedImports
from services.reporting.adapters.stream_topics import make_topics
from services.reporting.app.state import ReportingState
from services.reporting.app.stream_limits import Limits
from services.reporting.app.stream_means import Means
from services.reporting.app.stream_positions import Positions
from services.reporting.app.streams import Streams
from services.reporting.app.tokens import Tokens
from services.reporting.entrypoints.api import routers
from services.reporting.settings import ReportingSettings


def build(resources: Resources, settings: ReportingSettings | None = None) -> Service:
    """The read side: no workers, one pool, and a tail of each topic while streams are open."""
    chosen = settings or ReportingSettings.model_construct()
    database = Database(
        chosen.database_url or resources.database_url,
        "headway_reporting_api",
        pool_size=chosen.pool_size,
        statement_timeout=chosen.statement_timeout,
    )
    streams = _streams(resources, chosen, database)
    tokens = Tokens(resources.key_for("drill"))
    state = ReportingState(database, resources.clock, tokens, streams)

    async def start() -> None:
        await make_topics(resources.log, resources.settings.partitions)

    async def stop() -> None:
        await streams.stop()
        await database.close()

    return Service("reporting", state, routers, start=start, stop=stop)


def _streams(resources: Resources, settings: ReportingSettings, database: Database) -> Streams:
    means = Means(
        resources.log,
        Positions(resources.key_for("stream")),
        EndedImports(database, resources.clock),
        resources.clock,
        f"reporting-{resources.process_id}",
        settings.stream_seconds,
    )
    return Streams(means, Limits(settings.streams, settings.streams_per_tenant))
