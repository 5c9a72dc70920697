"""What an error means for a consumer: wait, blame a record, or stop; and how to tell of it."""

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from libs.common.db.errors import is_refused, is_transient, sqlstate
from libs.common.db.positions import Fenced
from libs.common.eventlog.dead_letter import DeadLetterBudgetExhausted
from libs.common.eventlog.port import LogError, LogUnavailable

_LONGEST = 300


class Poison(Exception):
    """A handler's word that a batch can never succeed as it is."""


def waits(error: BaseException) -> bool:
    """Whether the infrastructure is at fault, so that the same work may succeed later."""
    return isinstance(error, LogUnavailable) or is_transient(error)


def blames_a_record(error: Exception) -> bool:
    """Whether a batch failed for what is in it, rather than for how we or the schema are."""
    if isinstance(error, Fenced | DeadLetterBudgetExhausted | LogError) or waits(error):
        return False
    if is_refused(error):
        return True
    return sqlstate(error) is None and not isinstance(
        error, SQLAlchemyError | asyncpg.InterfaceError
    )


def code_of(error: Exception) -> str:
    """The dead letter's class: what the handler said, what PostgreSQL refused, or our bug."""
    if isinstance(error, Poison):
        return "poison"
    return "invalid" if is_refused(error) else "bug"


def reason(error: BaseException) -> str:
    """An error in one line, without the statement, its parameters and the rows that it names."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:_LONGEST]
