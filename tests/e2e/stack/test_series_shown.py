"""Each process shows the series of what it does itself, and none of what it does not know."""

from contextlib import suppress

import httpx
import pytest

from services.standalone.stack.table import PARTS
from tests.e2e.processes.stack import until
from tests.e2e.stack.launched import Launched, event

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(600)]
CONSUMERS = {"ingest-consumer", "funnel-consumer", "alerts-consumer"}
RELAYS = {"funnel-relay", "alerts-relay"}
ALL = {part.name for part in PARTS}
SHOWN = {
    "headway_ready": ALL,
    "headway_build_info": ALL,
    "headway_http_server_request_duration_seconds_count": ALL,
    "headway_event_loop_lag_seconds_count": ALL,
    "headway_consumer_lag_seconds": CONSUMERS,
    "headway_consumer_lag_records": CONSUMERS,
    # No record has been put aside that the reader of dead letters could commit.
    "headway_consumer_last_commit_timestamp_seconds": CONSUMERS - {"ingest-consumer"},
    "headway_consumer_retries_total": CONSUMERS,
    "headway_outbox_oldest_age_seconds": RELAYS,
    "headway_outbox_refused_total": RELAYS,
    "headway_ingest_import_rows_total": {"ingest-consumer"},
    "headway_projection_applied_total": {"funnel-consumer"},
    "headway_ingest_imports_running": {"ingest-consumer"},
    "headway_funnel_watermark_age_seconds": {"funnel-consumer"},
    "headway_funnel_refold_queue_deals": {"funnel-consumer"},
    "headway_funnel_rebuilds_running": {"funnel-consumer"},
    "headway_alerts_pending_subjects": {"alerts-scheduler"},
    "headway_alerts_pending_oldest_age_seconds": {"alerts-scheduler"},
    "headway_alerts_timer_lateness_seconds": {"alerts-scheduler"},
    "headway_alerts_data_late": {"alerts-scheduler"},
    "headway_streams_open": {"reporting-api-1", "reporting-api-2"},
    "headway_clock_jump_seconds": {"alerts-scheduler"},
}


def names_shown(stack: Launched) -> dict[str, set[str]]:
    """The names of series, by process."""
    rows = [row for row in stack.summary["processes"] if row["port"]]
    pages = {row["process"]: _page(row["port"]) for row in rows}
    return {
        process: {line.split("{")[0].split(" ")[0] for line in page.splitlines()}
        for process, page in pages.items()
    }


def _page(port: int) -> str:
    """Empty while a process that another test has killed comes back."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=10).text
    except httpx.TransportError:
        return ""


def test_each_process_shows_its_own(stack: Launched, client: httpx.Client) -> None:
    assert client.post("/v1/events", json=[event(1)]).status_code == 202

    def found() -> dict[str, set[str]]:
        shown = names_shown(stack)
        return {name: {p for p in shown if name in shown[p]} for name in SHOWN}

    with suppress(AssertionError):
        until("all of them", lambda: all(SHOWN[name] <= by for name, by in found().items()))
    assert found() == SHOWN
