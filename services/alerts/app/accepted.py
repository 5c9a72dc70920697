"""The gate of sandboxes: instead of a watermark it asks for positions.

In the order in which events travel, so that nothing slips by: what is not appended yet, then where
the log ends, then what is folded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog
from services.alerts.app.work import Work


@dataclass(frozen=True, slots=True)
class Captured:
    """Where the log ended at an instant (of the database's clock)."""

    at: datetime
    topic_id: str
    ends: Mapping[int, int]

    def reached(self, positions: Mapping[int, int]) -> bool:
        """Whether a reader has read everything up to there."""
        return all(positions.get(n, 0) >= end for n, end in self.ends.items())


async def capture(log: EventLog, topic: str, at: datetime) -> Captured:
    """The ends of a topic; raises `LogError`."""
    topic_id = await log.topic_id(topic)
    ends = await log.ends(topic)
    # An empty partition has never been read, and needs not be.
    return Captured(at, topic_id, {p.number: e.end for p, e in ends.items() if e.end > e.start})


async def appended(work: Work, tenant_id: str, at: datetime) -> bool:
    """Whether what was accepted by then is in the log, and no import runs.

    To be asked before the log's ends are: what is appended in between is beyond them.
    """
    waits = (await work.acceptance()).waits(at)
    return not waits and not (await work.imports(tenant_id)).running


async def folded(work: Work, tenant_id: str, captured: Captured) -> bool:
    """Whether the log is folded up to there, and no import has run since."""
    imports = await work.imports(tenant_id)
    if not imports.complete(captured.at) or await work.refolds(tenant_id):
        return False
    return captured.reached(await work.folded(CRM_EVENTS, captured.topic_id))
