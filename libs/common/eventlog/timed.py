"""What every adapter tells of its appends: how long they take, and how many fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from libs.common import metrics
from libs.common.eventlog.port import LogError


@contextmanager
def appending(topic: str, records: int) -> Iterator[None]:
    """Around an append: its time if it became durable, else a failure of the topic."""
    failures = metrics.LOG_PUBLISH_FAILURES.labels(topic)  # at 0 from the first append on
    clock = asyncio.get_running_loop()
    started = clock.time()
    pending = metrics.LOG_PUBLISH_PENDING.labels(topic)
    pending.inc(records)
    try:
        yield
    except LogError:
        failures.inc()
        raise
    finally:
        pending.dec(records)
    metrics.LOG_PUBLISH_SECONDS.labels(topic).observe(clock.time() - started)
