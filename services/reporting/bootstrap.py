"""Reporting's composition root."""

from libs.common.db.database import Database
from libs.common.runtime import Resources, Service
from services.reporting.app.state import ReportingState
from services.reporting.app.tokens import Tokens
from services.reporting.entrypoints.api import routers
from services.reporting.settings import ReportingSettings


def build(resources: Resources, settings: ReportingSettings | None = None) -> Service:
    """The read side: no workers, nothing to start, one pool to close."""
    chosen = settings or ReportingSettings.model_construct()
    database = Database(
        chosen.database_url or resources.database_url,
        "headway_reporting_api",
        pool_size=chosen.pool_size,
        statement_timeout=chosen.statement_timeout,
    )
    state = ReportingState(database, resources.clock, Tokens(resources.key_for("drill")))
    return Service("reporting", state, routers, stop=database.close)
