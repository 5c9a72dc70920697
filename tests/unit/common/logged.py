"""What a process would write as its log, for tests to look into."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from libs.common.logging import configure


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """The lines written meanwhile; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    hooks = sys.excepthook, threading.excepthook
    configure("INFO", stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        root.handlers[:], root.level = handlers, level
        sys.excepthook, threading.excepthook = hooks


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]
