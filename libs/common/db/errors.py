"""What a failing database means: wait and try again, or look at the data.

Errors arrive in three coats (SQLAlchemy around asyncpg, asyncpg itself, the socket's). They are
told apart by SQLSTATE alone, so no text of a message matters.
"""

from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_TRANSIENT_CLASSES = frozenset(
    {
        "08",  # connection exceptions
        "40",  # rollback: deadlock, serialisation
        "53",  # out of connections, memory, disk
        "57",  # shut down, cancelled, cannot connect now
        "58",  # the server's system failed
    }
)
_TRANSIENT_STATES = frozenset(
    {
        "55P03",  # lock timeout
        "55006",  # object in use
        "25006",  # a replica while it is being promoted
        "25P03",  # idle in transaction timeout
        "25P04",  # transaction timeout
    }
)
_LOST_CLASSES = frozenset({"08", "58"})
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
_DATA_CLASSES = frozenset(
    {
        "21",  # a statement met a row twice
        "22",  # values out of range, bad encodings
        "23",  # integrity constraints
        "44",  # WITH CHECK OPTION of a view
    }
)


_LIMITS_EXCEEDED = "54"  # a value too long for an index, and the like
_TIMEOUTS = (TimeoutError, PoolTimeoutError)


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached or refuses to serve now; nothing was decided about the data.

    A commit whose answer was lost may have happened.
    """


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE that PostgreSQL gave, whatever wraps it."""
    for layer in _layers(error):
        state = getattr(layer, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: never a reason to give a record up."""
    if isinstance(error, DatabaseUnavailable):
        return True
    state = sqlstate(error)
    if state is not None:
        return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES
    return is_lost(error) or any(isinstance(layer, _TIMEOUTS) for layer in _layers(error))


def is_data_error(error: BaseException) -> bool:
    """Whether the statement's values are at fault: repeating it cannot help.

    Some values asyncpg refuses before the server sees them.
    """
    state = sqlstate(error)
    if state is not None:
        return state[:2] in _DATA_CLASSES
    return any(
        isinstance(layer, asyncpg.DataError | UnicodeEncodeError) for layer in _layers(error)
    )


def is_refused(error: BaseException) -> bool:
    """Whether PostgreSQL can never take what the statement brings: its values are at fault, or
    larger than a limit of PostgreSQL's own."""
    return is_data_error(error) or (sqlstate(error) or "").startswith(_LIMITS_EXCEEDED)


def is_lost(error: BaseException) -> bool:
    """Whether the connection or the server is gone, rather than one statement refused."""
    state = sqlstate(error)
    if state is not None:
        return state[:2] in _LOST_CLASSES or state in _LOST_STATES
    return any(_is_broken_connection(layer) for layer in _layers(error))


def _is_broken_connection(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InternalClientError):  # the server said goodbye out of turn
        return True
    if isinstance(error, asyncpg.InterfaceError):  # a closed connection carries no SQLSTATE
        return not isinstance(error, asyncpg.DataError) and "closed" in str(error)
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def _layers(error: BaseException) -> Iterator[BaseException]:
    """The error, what SQLAlchemy wraps and what it was raised from, each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        layer = pending.pop()
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        pending += [layer.__cause__, getattr(layer, "orig", None)]
