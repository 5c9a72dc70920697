"""`headway up` as users run it: first start, kept data, kill -9, posting, stopping."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.standalone.headway import Headway, once

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]


@pytest.fixture
def headway(tmp_path: Path) -> Iterator[Headway]:
    process = Headway(tmp_path / "data")
    yield process
    process.clean_up()


def _numbers(client: httpx.Client, as_of: dict[str, Any]) -> Any:
    instants = {name: as_of[name] for name in ("valid_at", "known_at") if as_of[name]}
    answer = client.get("/v1/funnel/conversion", params={"pipeline_id": "b2b", **instants})
    assert answer.status_code == 200, answer.text
    return answer.json()["total"]


def _await_deal(client: httpx.Client, deal_id: str) -> dict[str, Any]:
    """The deal's state, once the event that made it has been folded."""
    deadline = time.monotonic() + 20
    while (answer := client.get(f"/v1/deals/{deal_id}")).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


def test_once_prints_the_funnel_and_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = once(data)
    assert first.returncode == 0, first.stderr
    for word in ("reach", "negotiation", "won", "valid_at", "known_at", "new", "Open alerts"):
        assert word in first.stdout
    second = once(data)
    assert second.returncode == 0, second.stderr
    assert "kept from an earlier start" in second.stdout
    assert Headway(data).postgres.running_pid() is None
    for name in ("operator-key", "demo-key", "secret-key"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_after_kill_9_the_same_two_instants_give_the_same_funnel(headway: Headway) -> None:
    first = headway.start()
    as_of = first["funnel"]["as_of"]
    with headway.client() as client:
        before = _numbers(client, as_of)
    assert before["n"] > 0
    headway.kill()
    orphan = headway.postgres.running_pid()
    assert orphan is not None
    second = headway.start()
    assert second["kept"]
    assert headway.postgres.running_pid() == orphan
    with headway.client() as client:
        assert _numbers(client, as_of) == before


def test_the_summary_shows_the_alerts_that_rest_shows(headway: Headway) -> None:
    told = headway.start()["alerts"]
    assert told["by_rule"].keys() == {"stalled", "idle", "first-call"}
    assert sum(told["by_rule"].values()) >= len(told["newest"]) > 0
    with headway.client() as client:
        for alert in told["newest"]:
            answer = client.get(f"/v1/alerts/{alert['id']}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["started_at"] == alert["started_at"]
            assert alert["summary"]


def test_a_posted_event_shows_as_a_deal_and_sigterm_ends_everything(headway: Headway) -> None:
    headway.start()
    event = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "/crm/own",
        "type": "deal.created",
        "data": {"deal_id": "D-own", "pipeline_id": "b2b", "stage_id": "reach", "name": "Own"},
    }
    with headway.client() as client:
        posted = client.post(
            "/v1/events", json=event, headers={"Content-Type": "application/cloudevents+json"}
        )
        assert posted.status_code == 202, posted.text
        assert posted.json()["accepted"] == 1
        assert _await_deal(client, "D-own")["stage_name"] == "Reach"
        names = {
            one["deal_id"] for one in client.get("/v1/deals", params={"q": "Own"}).json()["items"]
        }
        assert "D-own" in names
    assert headway.terminate() == 0
    assert headway.postgres.running_pid() is None


def test_the_front_page_and_the_documents_need_no_key(headway: Headway) -> None:
    url = headway.start()["url"]
    with httpx.Client(base_url=url, trust_env=False) as client:
        page = client.get("/")
        assert "funnel" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        pages = ("/docs", "/openapi.json", "/openapi/funnel.json")
        for path in ("/livez", "/readyz", "/metrics", *pages):
            assert client.get(path).status_code == 200, path
        assert client.get("/v1/deals").status_code == 401


def test_a_second_start_on_the_same_data_is_refused_by_pid(headway: Headway) -> None:
    headway.start()
    second = once(headway.data_dir)
    assert second.returncode == 1
    assert f"pid {headway.process.pid}" in second.stderr


def test_a_taken_port_is_refused_before_anything_starts(headway: Headway, tmp_path: Path) -> None:
    port = headway.start()["url"].rpartition(":")[2]
    other = once(tmp_path / "other", "--port", port)
    assert other.returncode == 1
    assert f":{port}" in other.stderr
    assert not (tmp_path / "other" / "pg").exists()


def test_the_trickle_goes_on_with_what_is_open(tmp_path: Path) -> None:
    busy = Headway(tmp_path / "data", changes={"HEADWAY_DEMO_EVENTS_PER_MINUTE": "60"})
    try:
        before = busy.start()["funnel"]["as_of"]["valid_at"]
        with busy.client() as client:
            deadline = time.monotonic() + 40
            while not _since(client, before):
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        busy.clean_up()


def _since(client: httpx.Client, instant: str) -> bool:
    items = client.get("/v1/deals", params={"limit": 500}).json()["items"]
    return any(item["last_event_at"] > instant for item in items)


@pytest.mark.scale
def test_the_full_history_is_seeded_and_summed_up(tmp_path: Path) -> None:
    done = once(tmp_path / "data", "--json", HEADWAY_DEMO_MONTHS="18", HEADWAY_DEMO_PACE="1")
    assert done.returncode == 0, done.stderr
