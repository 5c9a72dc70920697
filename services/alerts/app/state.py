"""What alerts' routers find at `request.app.state.alerts`."""

from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from services.alerts.app.compiling import Compiler
from services.alerts.app.settling import Settling


@dataclass(frozen=True, slots=True)
class AlertsState:
    """`database` answers tenants; `worker_database` looks at what all of them share."""

    database: Database
    worker_database: Database
    clock: Clock
    log: EventLog
    compiler: Compiler
    settling: Settling
    max_rules: int
