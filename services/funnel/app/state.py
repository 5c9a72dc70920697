"""What the funnel's routers find at `request.app.state.funnel`."""

from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog


@dataclass(frozen=True, slots=True)
class FunnelState:
    """`database` answers tenants; `worker_database` answers operators."""

    database: Database
    worker_database: Database
    clock: Clock
    log: EventLog
