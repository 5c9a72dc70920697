"""Structured logs: one JSON object a line, one snake_case event name each, no secrets."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

MAX_TEXT = 4_000
_SECRET_NAME = re.compile(r"secret|password|authorization|api_key|token|cookie|pepper", re.I)
_SECRET_VALUE = re.compile(
    r"hw_[A-Za-z0-9]{12}_[A-Za-z0-9_-]+|(?<=://)[^/@\s]+(?=@)"
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # a token (JWT)
)

Event = MutableMapping[str, Any]


def _redacted(_: Any, __: str, event: Event) -> Event:
    """Drop what a field's name or shape gives away as a credential; cap every text."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _SECRET_VALUE.sub("***", value)[:MAX_TEXT]
    return event


def _line(_: Any, __: str, event: Event) -> str:
    return orjson.dumps(event, default=repr).decode()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _redacted,
]


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send our logs and those of the libraries to `stream` (standard error), as JSON lines."""
    target = stream or sys.stderr
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, _line],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
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


class _Formatter(logging.Formatter):
    """Passes our lines through and turns foreign records into the same form."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if message.startswith("{") and message.endswith("}"):
            return message
        event: Event = {
            "event": "library_log",
            "logger": record.name,
            "message": message,
            "level": record.levelname.lower(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        for processor in _SHARED:
            if processor is not structlog.processors.format_exc_info:
                event = processor(None, record.levelname.lower(), event)
        return _line(None, "", event)
