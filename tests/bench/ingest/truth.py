"""Whether every 202 was true: the log holds each accepted event."""

import asyncio
from time import monotonic

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog
from tests.bench.ingest.servers import Server
from tests.bench.source import from_beginning

PATIENCE = 60.0
"""Seconds in which what went through the spool has to be in the log too."""
_READ = 5_000


async def kept(server: Server, accepted: int) -> int:
    """How many different events the log holds, once they are as many as were accepted."""
    async with server.log() as log:
        deadline = monotonic() + PATIENCE
        while await _appended(log) < accepted and monotonic() < deadline:
            await asyncio.sleep(0.5)
        return await _different(log)


async def _appended(log: EventLog) -> int:
    return sum(ends.end - ends.start for ends in (await log.ends(CRM_EVENTS)).values())


async def _different(log: EventLog) -> int:
    """Events by their id, read from the beginning to the end of now."""
    left, found = await _appended(log), set[bytes]()
    async with from_beginning(log, CRM_EVENTS, None) as reader:
        while left > 0:
            records = await reader.read(_READ, 1.0)
            found.update(dict(record.headers)["ce_id"] for record in records)
            left -= len(records)
    return len(found)
