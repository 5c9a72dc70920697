"""What ingest's routers find at `request.app.state.ingest`."""

from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.expr.port import Expressions
from services.ingest.adapters.connection_counts import CountsWriter
from services.ingest.adapters.connection_lookup import ConnectionLookup
from services.ingest.adapters.directory import Directory
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.adapters.reads import Reads
from services.ingest.adapters.sealing import Sealer
from services.ingest.app.accept import Acceptor
from services.ingest.app.ports import Sandboxes
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.receiving import Receiver
from services.ingest.app.redriving import Redriver
from services.ingest.app.status import StatusReader
from services.ingest.app.turns import Turns
from services.ingest.entrypoints.import_worker import ImportWorker
from services.ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class IngestState:
    """`database` is the API role's pool, `worker_database` the worker role's."""

    acceptor: Acceptor
    receiver: Receiver
    lookup: ConnectionLookup
    sealer: Sealer
    counting: CountsWriter
    sandboxes: Sandboxes
    status: StatusReader
    reads: Reads
    directory: Directory
    files: ImportFiles
    imports: ImportWorker
    expressions: Expressions
    redriver: Redriver
    database: Database
    worker_database: Database
    clock: Clock
    pepper: bytes
    settings: IngestSettings
    quotas: EventQuotas
    quota_imports: int
    turns: Turns = field(default_factory=Turns)

    @property
    def answer_by(self) -> float:
        """When a delivery that is here now has to be answered, by the monotonic clock."""
        return self.clock.monotonic() + self.settings.answer_deadline


def ingest_of(request: Request) -> IngestState:
    return cast(IngestState, request.app.state.ingest)
