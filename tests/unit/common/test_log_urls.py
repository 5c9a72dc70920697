"""Which log a URL means, and what is said about one that means none."""

from datetime import UTC, datetime

import pytest

from libs.common.clock import FakeClock
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.kafka_log import SESSION, KafkaLog
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import EventLog
from libs.common.eventlog.postgres_log import PostgresLog


def opened(url: str) -> EventLog:
    return open_log(
        url, "postgresql://host/database", FakeClock(datetime(2026, 3, 2, tzinfo=UTC)), "p"
    )


@pytest.mark.parametrize(
    ("url", "servers", "session"),
    [
        ("kafka://a:9092", ["a:9092"], SESSION),
        ("kafka://a:9092,b:9093/", ["a:9092", "b:9093"], SESSION),
        ("kafka://a:9092?session=6", ["a:9092"], 6),
    ],
)
async def test_a_kafka_url_names_brokers_and_a_session(
    url: str, servers: list[str], session: float
) -> None:
    log = opened(url)
    assert isinstance(log, KafkaLog)
    assert (log.servers, log.session) == (servers, session)


async def test_a_kafka_url_may_name_a_static_member() -> None:
    log = opened("kafka://a:9092?session=6&instance=funnel-1")
    assert isinstance(log, KafkaLog)
    assert (log.instance, log.session) == ("funnel-1", 6)


async def test_the_other_logs_need_no_server() -> None:
    assert isinstance(opened("postgres+log://"), PostgresLog)
    assert isinstance(opened("memory://"), MemoryLog)


@pytest.mark.parametrize(
    "url",
    ["", "kafka://", "kafka:a:9092", "redis://a", "kafka://a:1?session=0", "kafka://a:1?session=x",
     "kafka://a:1?sesion=6", "kafka://a:1?session", "kafka://a:1?instance=", "kafka://a:1?instance=a/b"],
)  # fmt: skip
def test_any_other_url_is_refused_by_what_it_should_be(url: str) -> None:
    with pytest.raises(ValueError, match="HEADWAY_LOG_URL"):
        opened(url)
