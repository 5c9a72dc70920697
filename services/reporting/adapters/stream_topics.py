"""The topics that streams read, made where they are missing."""

import structlog

from libs.common.contracts.topics import TOPICS
from libs.common.eventlog.port import EventLog, LogError, TopicConfig
from services.reporting.domain.stream import STREAMED

_log = structlog.get_logger()


async def make_topics(log: EventLog, partitions: int) -> None:
    """A log that is away now makes streams answer 503 until the topics are there."""
    named = [TOPICS[streamed.topic] for streamed in STREAMED.values()]
    configs = [TopicConfig(t.name, partitions, t.retention_days) for t in named]
    try:
        await log.create_topics(configs)
    except LogError as error:
        _log.warning("topics_not_created", error=error)
