"""What a proven delivery says: pure work, beside the event loop where the body is large."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.ingest.app.connector_faults import ours
from services.ingest.domain import letters
from services.ingest.domain.connections import Live
from services.ingest.domain.counters import number_at
from services.ingest.domain.crm.bodies import read
from services.ingest.domain.crm.model import Connector, Delivery, Kind, Translation
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.letters import Letter
from services.ingest.domain.model import Examined, Receipt

T = TypeVar("T")
LARGE = 8 * 1024
"""Bytes of a body; what takes shorter than a thread takes to begin stays where it is."""
LARGE_COPIED = 2 * 1024
_COPYING = ("salesforce_cdc", "zoho", "generic")
"""Kinds whose deliveries tell one thing of many records, for each of which it is copied: half a
body of ids and half of what is copied make the square of it."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What is told, each event of it judged, what has to be put aside, and the number that the
    source gave the delivery."""

    told: Translation
    examined: Sequence[Examined]
    letters: Sequence[Letter]
    number: int | None


async def beside(kind: Kind, delivery: Delivery, run: Callable[[], T]) -> T:
    """What `run` makes of a delivery; of a large one in a thread, while others are answered."""
    if len(delivery.body) < (LARGE_COPIED if kind in _COPYING else LARGE):
        return run()
    return await asyncio.to_thread(run)


def translation(connector: Connector, live: Live, delivery: Delivery) -> Translation:
    """Raises `Unreadable` or `ConnectorFailed`."""
    return ours(live, lambda: connector.translate(delivery, live.connection))


def understood(
    connector: Connector, live: Live, delivery: Delivery, receipt: Receipt
) -> Understood:
    """Raises `Unreadable` or `ConnectorFailed`."""
    told = translation(connector, live, delivery)
    number = None if live.counter is None else number_at(read(delivery), live.counter)
    examined = [examine_incoming(event, receipt) for event in told.events]
    aside = letters.of_puzzles(live, delivery, told.puzzles)
    aside += letters.of_rejected(live, delivery, told.events, examined)
    return Understood(told, examined, aside, number)
