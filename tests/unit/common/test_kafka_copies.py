"""What a topic is made with: three copies are worth little while one may acknowledge alone."""

from typing import Any

import pytest

from libs.common.eventlog.kafka_log import _new
from libs.common.eventlog.port import TopicConfig


def made(copies: int) -> Any:
    return _new(TopicConfig("headway.tests", 3, retention_days=14), copies)


def test_three_copies_acknowledge_by_two() -> None:
    topic = made(3)
    assert topic.replication_factor == 3
    assert topic.topic_configs["min.insync.replicas"] == "2"


@pytest.mark.parametrize("copies", [1, 2])
def test_fewer_copies_leave_it_to_the_broker(copies: int) -> None:
    """One copy can never be two, and of two none could be away."""
    assert "min.insync.replicas" not in made(copies).topic_configs


def test_a_topic_s_other_limits_do_not_depend_on_its_copies() -> None:
    one, three = made(1).topic_configs, dict(made(3).topic_configs)
    del three["min.insync.replicas"]
    assert one == three
    assert one["message.timestamp.type"] == "LogAppendTime"
