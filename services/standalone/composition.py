"""All services of Headway built upon one set of resources, on one port."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from libs.common.db.database import Database
from libs.common.oidc.trusted import trusted_by
from libs.common.process.status import Examiner
from libs.common.runtime import Resources, Service, Worker
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from libs.common.web.limits import limits_of
from services.alerts import bootstrap as alerts
from services.alerts.settings import AlertsSettings
from services.funnel import bootstrap as funnel
from services.funnel.settings import FunnelSettings
from services.ingest import bootstrap as ingest
from services.ingest.adapters.directory import Directory
from services.ingest.entrypoints.state import IngestState
from services.ingest.settings import QuotaSettings
from services.reporting import bootstrap as reporting
from services.reporting.settings import ReportingSettings
from services.standalone import routes

BUILDERS: Sequence[Callable[[Resources], Service]] = (
    lambda resources: ingest.build(resources, deliveries=QuotaSettings.load(os.environ)),
    lambda resources: funnel.build(resources, FunnelSettings.load(os.environ)),
    lambda resources: alerts.build(resources, AlertsSettings.load(os.environ)),
    lambda resources: reporting.build(resources, ReportingSettings.load(os.environ)),
)
"""Each service with its own settings; what limits tenants at ingest is for separate processes."""


@dataclass(frozen=True, slots=True)
class Composition:
    """The application of all services, and the workers that run beside it."""

    app: FastAPI
    services: Sequence[Service]

    @property
    def workers(self) -> Sequence[Worker]:
        return [worker for service in self.services for worker in service.workers]


@asynccontextmanager
async def composed(resources: Resources) -> AsyncIterator[Composition]:
    """Build everything; what the application needs of its own is closed on the way out."""
    services = [build(resources) for build in BUILDERS]
    url = resources.database_url
    own = {
        service.name: Database(url, f"headway_{service.name}_api", pool_size=2, statement_timeout=3)
        for service in services
    }
    examiner = Examiner(services, url, own, resources.log)
    try:
        app = create_app(
            [*services, routes.service(examiner)],
            authenticator=Authenticator(
                own["ingest"],
                resources.key_for("api-keys"),
                resources.clock,
                trusted_by(resources.settings),
            ),
            cursors=Cursors(resources.key_for("cursors")),
            clock=resources.clock,
            limits=limits_of(resources.settings, resources.clock),
        )
        yield Composition(app, services)
    finally:
        for database in own.values():
            await database.close()


def directory_of(composition: Composition) -> Directory:
    """Ingest's tenants and keys."""
    state: IngestState = composition.app.state.ingest
    return state.directory
