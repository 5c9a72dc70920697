"""From an event to its line: what may be told of each value, and nothing else."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
import structlog

from libs.common.logging.fields import LISTED
from libs.common.logging.told import told, traced

MAX_TEXT = 4_000
NOT_LISTED = "[not listed]"
_SECRET_NAME = re.compile(r"secret|password|authorization|api_key|token|cookie|pepper", re.I)
_SECRET_VALUE = re.compile(
    r"hw_[A-Za-z0-9]{12}_[A-Za-z0-9_-]+|(?<=://)[^/@\s]+(?=@)"
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # a token (JWT)
)
_REPRS = re.compile(r"[\n(]")
"""Where messages of asyncio begin to show the objects that they are about."""

Event = MutableMapping[str, Any]


def line(event: Event) -> str:
    return orjson.dumps(event).decode()


def rendered(_: Any, __: str, event: Event) -> tuple[tuple[str], dict[str, Any]]:
    """For the logger behind: a record that is known to be ours, whatever its text looks like."""
    return (line(event),), {"extra": {"rendered": True}}


def foreign(record: logging.LogRecord) -> Event:
    """The event of a record that a library wrote."""
    event: Event = {
        "event": "library_log",
        "logger": record.name,
        "message": _message(record),
        "level": record.levelname.lower(),
    }
    if record.exc_info and record.exc_info[1] is not None:
        event["exc_info"] = record.exc_info[1]
    return event


def _message(record: logging.LogRecord) -> str:
    if isinstance(record.msg, BaseException):
        return told(record.msg)
    arguments: Any = record.args
    if isinstance(arguments, Mapping):
        arguments = {name: _argument(value) for name, value in arguments.items()}
    elif arguments:
        arguments = tuple(_argument(value) for value in arguments)
    text = str(record.msg) % arguments if arguments else str(record.msg)
    return _REPRS.split(text, maxsplit=1)[0] if record.name == "asyncio" else text


def _argument(value: Any) -> Any:
    return told(value) if isinstance(value, BaseException) else value


def _traced(_: Any, __: str, event: Event) -> Event:
    """An exception by its trace, of which the end says most."""
    given = event.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        event["exception"] = traced(error)[-MAX_TEXT:]
    return event


def _allowed(_: Any, __: str, event: Event) -> Event:
    """Drop what is not listed, and what its shape gives away as a credential; cap every text."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "***"
        elif name not in LISTED:
            event[name] = NOT_LISTED
        elif value is not None and not isinstance(value, bool | int | float):
            event[name] = _SECRET_VALUE.sub("***", _text(value))[:MAX_TEXT]
    return event


def _text(value: Any) -> str:
    return told(value) if isinstance(value, BaseException) else str(value)


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _traced,
    _allowed,
]
