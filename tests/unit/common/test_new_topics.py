"""A topic counts as made once the broker that is asked knows it."""

import asyncio

import pytest

from libs.common.eventlog.kafka_metadata import until_known
from libs.common.eventlog.port import UnknownTopic


class Broker:
    """Hears of each topic after so many questions."""

    def __init__(self, **after: int) -> None:
        self.left, self.asked = after, 0

    async def topic_id(self, topic: str) -> str:
        self.asked += 1
        self.left[topic] -= 1
        if self.left[topic] >= 0:
            raise UnknownTopic(topic)
        return topic


async def test_each_topic_is_asked_for_until_it_is_known() -> None:
    broker = Broker(a=0, b=3)
    await until_known(broker.topic_id, ["a", "b"], pause=0)
    assert broker.asked == 1 + 4


async def test_one_that_stays_unknown_is_for_the_caller_to_end() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await until_known(Broker(a=10**9).topic_id, ["a"], pause=0)
