"""What was put aside of a delivery, read anew: a fault of a connector's costs that letter alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.ingest.app import reading
from services.ingest.app.connector_faults import ConnectorFailed
from services.ingest.domain import retranslating
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connector, Kind, Unreadable
from services.ingest.domain.model import Candidate
from services.ingest.domain.redriving import Part, Refusal

_FAILED = "this version of Headway fails over it; redrive it with another one"


async def anew(
    connectors: Mapping[Kind, Connector], part: Part, live: Live | None, now: datetime
) -> Sequence[Candidate] | Refusal:
    """The events that its connection makes of it today, or why it makes none."""
    if live is None:
        return retranslating.gone()
    if refusal := retranslating.unfit(part, live):
        return refusal
    connector, delivery = connectors[live.kind], retranslating.delivery_of(part)

    def run() -> Sequence[Candidate] | Refusal:
        told = reading.translation(connector, live, delivery)
        return retranslating.judged(part, told, now)

    try:
        return await reading.beside(live.kind, delivery, run)
    except Unreadable as error:
        return Refusal("unreadable", str(error), "sender")
    except ConnectorFailed:
        return _failed()


def _failed() -> Refusal:
    return Refusal("connector_failed", _FAILED, "redrive")
