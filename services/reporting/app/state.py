"""What reporting's routers find at `request.app.state.reporting`."""

from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db.database import Database
from services.reporting.app.streams import Streams
from services.reporting.app.tokens import Tokens


@dataclass(frozen=True, slots=True)
class ReportingState:
    """`database` is bound to the API role, possibly on a replica."""

    database: Database
    clock: Clock
    tokens: Tokens
    streams: Streams
