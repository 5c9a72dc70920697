"""Structured logs: one JSON object a line, one snake_case event name each, no secrets and nothing
of what senders send (`fields`, `told`)."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

import structlog

from libs.common.logging.lines import SHARED, Event, foreign, line, rendered


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send our logs and those of the libraries to `stream` (standard error), as JSON lines."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *SHARED, rendered],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # requests are counted and logged by us
    for name in ("httpx", "httpcore", "aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    sys.excepthook, threading.excepthook = _process_failed, _thread_failed


class _Formatter(logging.Formatter):
    """Passes our lines through and turns foreign records into the same form."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "rendered", False):
            return str(record.msg)
        event: Event = foreign(record)
        for processor in SHARED:
            event = processor(None, event["level"], event)
        return line(event)


def _process_failed(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> Any:
    """What nobody caught: without this, Python would write its text."""
    if issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    return structlog.get_logger().critical("process_failed", exc_info=error)


def _thread_failed(told: threading.ExceptHookArgs) -> None:
    structlog.get_logger().critical("thread_failed", exc_info=told.exc_value)
