"""What a topic over three brokers is made with, as a broker tells it.

A broker alone asks no more copies than a topic has, so it acknowledges all the same: what a refusal
for too few copies means is tested with a client that tells of one.
"""

from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.common.eventlog import kafka_log
from libs.common.eventlog.kafka_broker import KafkaBroker
from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.port import TopicConfig
from libs.common.testing.fixtures import own_broker

pytestmark = pytest.mark.kafka
TOPIC = "headway.tests.copies"


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with own_broker() as started:
        yield started


async def _settings(broker: KafkaBroker) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=[broker.server])
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
        ((_, _, _, _, entries),) = answer.resources
        return {name: value for name, value, *_ in entries}
    finally:
        await admin.close()


@pytest.mark.timeout(120)
async def test_the_broker_takes_that_two_copies_must_be_in_step(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_log, "REPLICAS", 1)  # so many as there are brokers
    log = KafkaLog([broker.server], "tests")
    await log.create_topics([TopicConfig(TOPIC, 1, retention_days=1)])
    await log.stop()
    assert (await _settings(broker))["min.insync.replicas"] == "2"
