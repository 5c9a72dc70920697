"""How long we wait for a PostgreSQL that is reached but does not answer.

The server's own timeouts end a statement that takes long. They cannot end the wait for a server
that has stopped running: a frozen machine keeps its sockets open and says nothing. So clients of
API roles, who have somebody waiting, bound each step themselves; workers wait, as a long statement
of theirs is no fault. A connection that was given up is cut, never handed on: nobody knows what
transaction, and whose tenant, it is in.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.errors import DatabaseUnavailable

CLOSE_SECONDS = 1.0
"""For giving a connection back, rolled back; an answer there is immediate or does not come."""
_CHECKOUT_SECONDS = 2.0
_GRACE = 1.0
"""The server's timeout comes first, since it says more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds; `None` for as long as it takes. `checkout` is also for opening the transaction."""

    checkout: float | None
    statement: float | None


def patience_of(role: str, statement_timeout: float) -> Patience:
    if role.endswith("_api"):
        return Patience(_CHECKOUT_SECONDS, statement_timeout + _GRACE)
    return Patience(None, None)


async def started(connection: AsyncConnection, seconds: float | None) -> None:
    """Check a connection out in time.

    One that comes too late is put back by itself: to cancel a check-out would wait for the server.
    """
    starting = asyncio.ensure_future(connection.start())
    try:
        done, _ = await asyncio.wait({starting}, timeout=seconds)
    except asyncio.CancelledError:
        _put_back(connection, starting)
        raise
    if not done:
        _put_back(connection, starting)
        raise DatabaseUnavailable(f"PostgreSQL gave no connection within {seconds:g} s")
    await starting


def _put_back(connection: AsyncConnection, starting: "asyncio.Future[AsyncConnection]") -> None:
    task = asyncio.ensure_future(_late(connection, starting))
    _late_ones.add(task)
    task.add_done_callback(_late_ones.discard)


async def _late(connection: AsyncConnection, starting: "asyncio.Future[AsyncConnection]") -> None:
    try:
        await starting
    except Exception:  # noqa: BLE001  # nobody waits for this one any more
        return
    await closed(connection)


async def closed(connection: AsyncConnection) -> None:
    """Give it back rolled back, or cut it."""
    with cut_after(connection, CLOSE_SECONDS):
        await connection.close()


@contextmanager
def cut_after(connection: AsyncConnection, seconds: float | None) -> Iterator[None]:
    """What is awaited inside for longer fails, as if the server had ended the connection."""
    if seconds is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(seconds, _cut, connection)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def cut_if_silent(connection: AsyncConnection) -> Iterator[None]:
    """Around statements: after one without an answer nothing else is asked, not even to roll back.

    A rollback would first wait for the statement to be cancelled, which only the server can do.
    """
    try:
        yield
    except TimeoutError as error:
        _cut(connection)
        raise DatabaseUnavailable("PostgreSQL does not answer") from error


def _cut(connection: AsyncConnection) -> None:
    """End its socket, so that everything that waits on it fails at once."""
    held: Any = connection.sync_connection
    if held is None or held.closed or held.invalidated:
        return
    held.connection.driver_connection.terminate()


_late_ones: set["asyncio.Task[None]"] = set()
