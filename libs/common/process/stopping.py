"""A stop that ends in time, whatever hangs."""

import asyncio
import os
from typing import NoReturn

import structlog

from libs.common.runtime import stop_on_signals

OVERDUE = 1
"""The exit status of a process that had to be cut short."""
LAST_SECONDS = 5.0
_log = structlog.get_logger()


def stop_in_time(stop: asyncio.Event, seconds: float) -> None:
    """SIGTERM and SIGINT set `stop`; after `seconds` the calling task is cancelled.

    Should even that not end the process, it exits at once: what it had not committed is done again
    by the next one. A second signal has its default effect.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  # called from a coroutine

    def cut_short() -> None:
        _log.error("stop_overdue", seconds=seconds)
        task.cancel()
        loop.call_later(LAST_SECONDS, _give_up)

    stop_on_signals(stop, lambda: loop.call_later(seconds, cut_short))


def _give_up() -> NoReturn:
    os._exit(OVERDUE)
