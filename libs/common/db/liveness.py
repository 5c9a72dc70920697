"""Whether a connection of a pool still leads to the server, asked only of one that lay idle.

SQLAlchemy's own pre-ping asks at each check-out, in a transaction of its own: BEGIN, an empty
statement and ROLLBACK before every short transaction of ours. One that was used a moment ago is as
good as asked, and one that the server ended is known without asking.
"""

from time import monotonic
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

IDLE_SECONDS = 1.0
"""A server that vanished without a word within it costs a transaction, as it does anyway."""
_LEFT = "headway_left"


def ask_idle_ones(engine: Engine, idle: float = IDLE_SECONDS) -> None:
    """One that was idle for longer and does not answer is replaced, with all of its pool."""

    def left(connection: Any, record: Any) -> None:
        record.info[_LEFT] = monotonic()

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        since = record.info.get(_LEFT)
        if since is not None and not _lives(engine, connection, monotonic() - since > idle):
            raise InvalidatePoolError("the server ended the connection")

    event.listen(engine, "checkin", left)
    event.listen(engine, "checkout", taken)


def _lives(engine: Engine, connection: Any, ask: bool) -> bool:
    if connection.driver_connection.is_closed():
        return False
    try:
        return not ask or engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        if engine.dialect.is_disconnect(error, connection, None):
            return False
        raise
