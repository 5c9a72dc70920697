"""Kafka hangs or PostgreSQL is stopped: `/readyz` of every process says what that means for it,
none of them ends, and all are ready again by themselves once it is back."""

from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest

from libs.common.db.embedded import EmbeddedPostgres
from services.standalone.stack.table import PARTS
from tests.e2e.processes.stack import until
from tests.e2e.stack.depending import OK, Said, Site, no, warns
from tests.e2e.stack.launched import Launched, event

pytestmark = [pytest.mark.e2e, pytest.mark.fault, pytest.mark.kafka, pytest.mark.postgres,
              pytest.mark.timeout(600)]  # fmt: skip
Property = Callable[[str, object], None]

TABLE: Mapping[str, tuple[Said, Said]] = {
    # role              without Kafka           without PostgreSQL
    "ingest-api":       (warns("ingest.log"),   warns("ingest.database")),
    "funnel-api":       (warns("funnel.log"),   no("funnel.database")),
    "alerts-api":       (warns("alerts.log"),   no("alerts.database")),
    "reporting-api":    (warns("reporting.log"), no("reporting.database")),
    "ingest-consumer":  (no("ingest.log"),      no("ingest.database")),
    "funnel-consumer":  (no("funnel.log"),      no("funnel.database")),
    "funnel-relay":     (no("funnel.log"),      no("funnel.database")),
    "alerts-consumer":  (no("alerts.log"),      no("alerts.database")),
    "alerts-relay":     (no("alerts.log"),      no("alerts.database")),
    "alerts-scheduler": (no("alerts.log"),      no("alerts.database")),
    "gateway":          (OK,
                         warns("gateway.funnel", "gateway.alerts", "gateway.reporting")),
}  # fmt: skip
WITHOUT_KAFKA = {part.name: TABLE[part.role][0] for part in PARTS}
WITHOUT_POSTGRES = {part.name: TABLE[part.role][1] for part in PARTS}
READY = dict.fromkeys(WITHOUT_KAFKA, OK)


@pytest.fixture(scope="package")
def site(stack: Launched) -> Iterator[Site]:
    """The server that is started again serves the other tests of the folder, too."""
    postgres = EmbeddedPostgres(stack.postgres.folder, {"max_connections": "500"})
    try:
        yield Site(stack, postgres)
    finally:
        postgres.stop()


@pytest.fixture
def sent(site: Site, client: httpx.Client) -> Iterator[list[int]]:
    """Deals that were accepted. Afterwards the same processes are ready, and have folded them."""
    before, accepted = site.stack.processes(), list[int]()
    site.await_all(READY, 60)
    yield accepted
    wanted = {f"D-{number}" for number in accepted}
    until("all are folded", lambda: wanted <= _deals(client))
    assert site.stack.processes() == before, "nothing ended and was started again"


def _deals(client: httpx.Client) -> set[str]:
    return {deal["deal_id"] for deal in client.get("/v1/deals").json()["items"]}


def _send(client: httpx.Client, number: int, sent: list[int]) -> int:
    answer = client.post("/v1/events", json=[event(number)])
    if answer.status_code == 202:
        sent.append(number)
    return answer.status_code


def test_kafka_hangs(
    site: Site, client: httpx.Client, sent: list[int], record_property: Property
) -> None:
    """Events are accepted all the same, into the spool; what is known is still read."""
    assert _send(client, 1, sent) == 202
    with site.without_kafka():
        record_property("told_after", site.await_all(WITHOUT_KAFKA, 20))
        assert _send(client, 2, sent) == 202
        assert client.get("/v1/deals").status_code == 200
        assert site.said() == WITHOUT_KAFKA
    record_property("ready_after", site.await_all(READY, 60))
    assert _send(client, 3, sent) == 202


def test_postgres_is_stopped(
    site: Site, client: httpx.Client, sent: list[int], record_property: Property
) -> None:
    """Events are accepted from senders that are known; nothing is read."""
    assert [_send(client, number, sent) for number in range(6)] == [202] * 6
    with site.without_postgres():
        record_property("told_after", site.await_all(WITHOUT_POSTGRES, 20))
        assert _send(client, 6, sent) == 202
        assert client.get("/v1/deals").status_code == 503
        assert site.said() == WITHOUT_POSTGRES
    record_property("ready_after", site.await_all(READY, 60))
    assert _send(client, 7, sent) == 202
