"""Everything behind one address: each service answers, and what runs is shown."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from libs.common.contracts.topics import ALERT_EVENTS, CONTEXT, CRM_EVENTS, DEALS, dlq
from services.standalone.stack.programs import KAFKA
from services.standalone.stack.table import GATEWAY, PARTS
from tests.e2e.processes.stack import until
from tests.e2e.stack.launched import Launched, event

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(300)]
SLOW = {
    "name": "Slow", "scope": "deal.status == 'open'",
    "clock": {"start": "stage_entered_at", "limit": "P10D"}, "catch_up": "fire_late",
}  # fmt: skip
EVENTS = [
    event(1), event(2), event(3),
    event(2, "deal.won") | {"time": "2026-01-09T08:00:00Z"},
    event(3, "deal.lost") | {"time": "2026-01-09T09:00:00Z"},
]  # fmt: skip


def ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def test_from_an_event_to_its_report_and_its_alert(sandbox: httpx.Client) -> None:
    client = sandbox
    ok(client.put("/v1/rules/slow", json=SLOW))
    assert ok(client.post("/v1/events", json=EVENTS))["accepted"] == 5
    ok(client.post("/v1/sandbox/clock", json={"now": "2026-01-20T08:00:00Z"}))
    until("settled", lambda: ok(client.get("/v1/sandbox/clock"))["settled"], 90, 0.2)
    (alert,) = ok(client.get("/v1/alerts"))["items"]
    assert alert["subject"] == {"type": "deal", "id": "D-1"}
    assert alert["started_at"] == "2026-01-15T08:00:00Z"
    statuses = {d["deal_id"]: d["status"] for d in ok(client.get("/v1/deals"))["items"]}
    assert statuses == {"D-1": "open", "D-2": "won", "D-3": "lost"}
    reached = ok(client.get("/v1/funnel/conversion"))
    assert (reached["total"]["n"], reached["total"]["won"]) == (3, 1)
    rate = ok(client.get("/v1/metrics/win_rate"))["total"]
    assert (rate["n"], rate["value"]) == (2, 0.5)
    drilled = ok(client.get(f"/v1/drill/{rate['drill']}"))
    assert {row["deal_id"] for row in drilled["items"]} == {"D-2", "D-3"}


def test_a_file_streams_in_and_the_stream_streams_out(client: httpx.Client) -> None:
    def lines() -> Iterator[bytes]:
        for number in range(500):
            yield orjson.dumps(event(number)) + b"\n"

    headers = {"Content-Type": "application/x-ndjson"}
    begun = ok(client.post("/v1/imports", content=lines(), headers=headers))
    path = f"/v1/imports/{begun['import_id']}"
    until("imported", lambda: ok(client.get(path))["state"] == "done", 90, 0.2)
    until("folded", lambda: ok(client.get("/v1/projection"))["caught_up"], 90, 0.2)
    with client.stream("GET", "/v1/stream", params={"topics": "deals"}) as stream:
        assert stream.status_code == 200, stream.read()
        ok(client.post("/v1/events", json=[event(7, "deal.won")]))
        told = next(line for line in stream.iter_lines() if "D-7" in line)
    assert told.startswith("data: ")


def test_the_status_joins_all_services(stack: Launched, client: httpx.Client) -> None:
    with stack.operator() as operator:
        status = ok(operator.get("/v1/status"))
    names = {"ingest", "funnel", "alerts", "reporting"}
    assert status["services"] == status["migrations"] == {name: [] for name in names}
    topics = {(lag["reader_group"], lag["topic"]) for lag in status["lag"]}
    read = {("funnel", CRM_EVENTS), ("alerts", DEALS)}
    assert topics == read | {("ingest", dlq(t)) for t in (CRM_EVENTS, CONTEXT, DEALS, ALERT_EVENTS)}
    assert status["log_fault"] is None
    refused = client.get("/v1/status")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_the_status_shows_every_process(stack: Launched) -> None:
    """Workers are looked at every few seconds, so it is not told at once that they are up."""
    names = [part.name for part in PARTS if part != GATEWAY]
    wanted = {name: dict[str, list[str]](faults=[], warnings=[]) for name in names}

    def shown() -> object:
        with stack.operator() as operator:
            return ok(operator.get("/v1/status"))["processes"]

    until("every process is shown ready", lambda: shown() == wanted, 30, 0.2)


def test_the_page_shows_every_process(stack: Launched) -> None:
    def page() -> httpx.Response:
        return httpx.get(stack.summary["url"], trust_env=False)

    rows = [f"<td>{part.name}</td><td>ready</td>" for part in PARTS if part != GATEWAY]
    assert page().headers["content-type"] == "text/html; charset=utf-8"
    until("every process is shown ready", lambda: all(row in page().text for row in rows), 30, 0.2)
    ran = {GATEWAY.name, KAFKA, *(part.name for part in PARTS)}
    assert {process["process"] for process in stack.summary["processes"]} == ran
    assert stack.processes().keys() == ran


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/deals", "/v1", "/openapi/none.json"])
def test_what_nobody_serves_is_not_found(stack: Launched, path: str) -> None:
    answer = httpx.get(stack.summary["url"] + path, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["ingest", "funnel", "alerts", "reporting"])
def test_each_service_describes_itself(stack: Launched, name: str) -> None:
    document = ok(httpx.get(f"{stack.summary['url']}/openapi/{name}.json", trust_env=False))
    assert document["info"]["title"] == f"Headway {name}"


def test_all_of_them_are_described_as_one(stack: Launched) -> None:
    url = stack.summary["url"]
    document = ok(httpx.get(f"{url}/openapi.json", trust_env=False))
    assert {"/v1/events", "/v1/deals", "/v1/rules", "/v1/drill/{token}"} <= document["paths"].keys()
    assert "/openapi.json" in httpx.get(f"{url}/docs", trust_env=False).text


def test_health_and_metrics_are_the_gateways_own(stack: Launched) -> None:
    url = stack.summary["url"]
    assert ok(httpx.get(f"{url}/readyz", trust_env=False))["status"] == "ok"
    metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    assert (
        "headway_http_server_request_duration_seconds_count"
        '{method="POST",route="/v1/events",status="2xx"}'
    ) in metrics
