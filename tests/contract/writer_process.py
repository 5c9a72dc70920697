"""Appends until it is killed, and says what was acknowledged: one JSON line per append."""

import asyncio
import json
import sys
from itertools import count

from libs.common.clock import SystemClock
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.port import NewRecord


async def main(log_url: str, database_url: str, topic: str) -> None:
    log = open_log(log_url, database_url, SystemClock(), "writer")
    await log.start()
    for n in count():
        records = [NewRecord(f"k{n}.{i}".encode(), b"v") for i in range(5)]
        written = await log.append(topic, records)
        sys.stdout.write(json.dumps([list(place) for place in written]) + "\n")
        sys.stdout.flush()


asyncio.run(main(*sys.argv[1:]))
