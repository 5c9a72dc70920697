"""How the embedded log's connections are opened, and what their errors mean."""

import asyncpg

from libs.common.db.errors import is_transient
from libs.common.eventlog.port import LogUnavailable

ROLE = "headway_log"
CHANNEL = "headway_log"
"""Notified by every append."""
SETTINGS = {"role": ROLE, "application_name": ROLE, "timezone": "UTC", "jit": "off"}


def unavailable(error: Exception) -> Exception:
    """What the port says of an error: trouble is `LogUnavailable`, a mistake stays itself."""
    if is_transient(error) or isinstance(error, asyncpg.InterfaceError):
        return LogUnavailable(f"{type(error).__name__}: {error}")
    return error
