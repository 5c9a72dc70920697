"""Checks of what services depend on, each an answer within its time."""

import asyncio

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog, LogError, UnknownTopic
from libs.common.runtime import Check

ANSWER_SECONDS = 1.5


def database_check(database: Database) -> Check:
    """Whether PostgreSQL answers a question in time."""

    async def check() -> str | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), database.across_tenants():
                return None
        except TimeoutError:
            return f"PostgreSQL does not answer within {ANSWER_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001  # a failing check is an answer
            return f"PostgreSQL does not answer: {error}"

    return check


def log_check(log: EventLog, *, made: bool = False) -> Check:
    """Whether the log answers, and (`made`) has the topic of accepted events."""

    async def check() -> str | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await log.topic_id(CRM_EVENTS)
        except UnknownTopic as error:
            return f"the event log has no topic {error}" if made else None
        except TimeoutError:
            return f"the event log does not answer within {ANSWER_SECONDS:g} s"
        except LogError as error:
            return f"the event log does not answer: {error}"
        return None

    return check
