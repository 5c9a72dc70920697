"""An integrator reads of each alert what the oracle says while every process restarts in turn."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from libs.common.contracts.topics import ALERT_EVENTS
from services.standalone.stack.table import PARTS
from tests.e2e.processes import topics
from tests.e2e.processes.alert_story import story
from tests.e2e.processes.conftest import SESSION
from tests.e2e.processes.following import Following
from tests.e2e.processes.oracle_alerts import Oracle
from tests.e2e.processes.sandbox import Reading, Sandbox
from tests.e2e.processes.stream import PIPELINE
from tests.e2e.stack.launched import Launched

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka]
DEALS, FROM_ROUND = 60, 3


@dataclass(frozen=True)
class Gateway:
    """What a sandbox needs of its processes; the stack itself starts again what has ended."""

    address: str

    def url(self, service: str) -> str:
        return self.address

    def revive(self) -> None:
        pass


@pytest.fixture
def launched(kafka_server: str, tmp_path: Path) -> Iterator[Launched]:
    """A stack of this test's own upon a broker that its reader knows."""
    asyncio.run(topics.delete_ours(kafka_server))
    log_url = f"kafka://{kafka_server}?session={SESSION}"
    launched = Launched(tmp_path / "data", changes={"HEADWAY_LOG_URL": log_url})
    try:
        launched.start()
        yield launched
        assert launched.terminate() == 0
    finally:
        launched.clean_up()


def sandbox(launched: Launched, tenant: str, server: str) -> Sandbox[Gateway]:
    """A new one with the pipeline and the rules, behind the gateway."""
    with launched.operator() as operator:
        body = {"id": tenant, "currency": "EUR", "sandbox": True}
        made = operator.post("/v1/tenants", json=body)
    assert made.status_code == 201, made.text
    address, key = str(launched.summary["url"]), str(made.json()["api_key"])
    with launched.by(key) as client:
        assert client.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
    opened = Sandbox(tenant, key, Gateway(address), server, {})
    opened.publish_rules()
    return opened


def restarted(launched: Launched) -> bool:
    """Whether the last process has come back; one that does not is a failure."""
    assert "the restart ended early" not in launched.said()
    return "restarted everything" in launched.said()


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_a_rolling_restart_of_everything_repeats_nothing(
    launched: Launched, kafka_server: str, record_property: Callable[[str, object], None]
) -> None:
    """Sandboxes live one after the other until all have restarted: events flow all the time."""
    before, oracles = launched.processes(), dict[str, Oracle]()

    def begin(number: int) -> None:
        if number == FROM_ROUND and len(oracles) == 0:
            launched.restart_all()

    with Following(kafka_server, ALERT_EVENTS) as following:
        for number in count():
            tenant = f"rolling-{number}"
            living = sandbox(launched, tenant, kafka_server)
            oracles[tenant] = living.live(story(number, DEALS, tenant), begin)
            if restarted(launched):
                break
    after = launched.processes()
    assert {part.name for part in PARTS if after[part.name] == before[part.name]} == set()
    assert "killed" not in launched.said()
    assert living.dead_letters() == []
    for tenant, oracle in oracles.items():
        read = [kept for kept in following.read() if kept.header("ce_tenantid") == tenant]
        reading = Reading.of(read)
        assert reading.differences(oracle.told) == []
        assert reading.repeats == 0
    record_property("sandboxes", len(oracles))
    record_property("records", len(following.read()))
