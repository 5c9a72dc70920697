"""The topic of accepted events is made by a process that started without the log."""

import asyncio
from collections.abc import Sequence

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import LogUnavailable, TopicConfig
from services.ingest.app.own_topic import OwnTopic
from tests.integration.ingest.fakes import ScriptedLog


class Late(ScriptedLog):
    """Is away for the first two askings."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.made = 0, asyncio.Event()

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None:
        self.asked += 1
        if self.asked < 3:
            raise LogUnavailable("scripted")
        assert [topic.name for topic in topics] == [CRM_EVENTS]
        self.made.set()


async def test_it_is_made_once_the_log_is_there() -> None:
    log = Late()
    topic = OwnTopic(log, TopicConfig(CRM_EVENTS, 6))
    await topic.start()
    assert not log.made.is_set(), "a start does not wait for the log"
    await asyncio.wait_for(log.made.wait(), 30)
    await topic.stop()
    assert log.asked == 3


async def test_a_stop_ends_the_asking() -> None:
    log = Late()
    topic = OwnTopic(log, TopicConfig(CRM_EVENTS, 6))
    await topic.start()
    await topic.stop()
    assert log.asked < 3
