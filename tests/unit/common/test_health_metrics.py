"""What `/metrics` tells without anybody asking for anything else, and from the start."""

import asyncio
import threading
from collections.abc import Iterable

import pytest
from fastapi import FastAPI, Response
from httpx import ASGITransport, AsyncClient
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from libs.common import metrics
from libs.common.clock import SystemClock
from libs.common.runtime import Service
from libs.common.web import loop_lag
from libs.common.web.context import RequestContext
from libs.common.web.health import health_router

CLOSED = {
    "ingest_import_rows": {"outcome": "rejected"},
    "funnel_events": {"outcome": "conflict"},
    "funnel_folds": {"path": "refold"},
    "projection_applied": {"kind": "team"},
    "alerts_fired": {"severity": "critical"},
    "alerts_records": {"type": "alert.corrected"},
}


async def ask(app: FastAPI, path: str) -> str:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://process") as client:
        return (await client.get(path)).text


def series(text: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.parametrize(("fault", "ready"), [(None, 1), ("PostgreSQL does not answer", 0)])
async def test_readiness_is_told_to_who_asks_for_metrics_only(
    fault: str | None, ready: int
) -> None:
    async def check() -> str | None:
        return fault

    metrics.READY.set(1 - ready)
    app = FastAPI()
    app.include_router(health_router([Service("planted", None, readiness={"database": check})]))
    assert series(await ask(app, "/metrics"), "headway_ready") == ready


async def test_metrics_are_written_beside_the_event_loop() -> None:
    class Watcher(Collector):
        def collect(self) -> Iterable[Metric]:
            written_by.append(threading.current_thread())
            return []

    written_by, watcher, app = list[threading.Thread](), Watcher(), FastAPI()
    app.include_router(health_router([]))
    REGISTRY.register(watcher)
    try:
        written_by.clear()
        await ask(app, "/metrics")
    finally:
        REGISTRY.unregister(watcher)
    assert [thread is threading.current_thread() for thread in written_by] == [False]


async def test_a_loop_that_is_held_up_shows_it() -> None:
    times = iter((10.0, 10.0 + loop_lag.PERIOD, 20.0, 21.5 + loop_lag.PERIOD, 30.0))
    name, sleeps = "headway_event_loop_lag_seconds_sum", list[float]()

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            raise asyncio.CancelledError

    before = REGISTRY.get_sample_value(name) or 0.0
    with pytest.raises(asyncio.CancelledError):
        await loop_lag.sample(lambda: next(times), sleep)
    assert REGISTRY.get_sample_value(name) == pytest.approx(before + 1.5)
    assert sleeps == [loop_lag.PERIOD] * 3


async def test_requests_in_flight_are_those_being_answered() -> None:
    app, name = FastAPI(), "headway_http_requests_in_flight"

    @app.get("/now")
    async def now() -> Response:
        return Response(str(REGISTRY.get_sample_value(name)))

    app.add_middleware(RequestContext, clock=SystemClock())
    before = REGISTRY.get_sample_value(name) or 0.0
    assert float(await ask(app, "/now")) == before + 1
    assert REGISTRY.get_sample_value(name) == before


def test_what_has_not_happened_yet_is_0_and_not_missing() -> None:
    metrics.show_consumer("planted", ["planted.v1"])
    metrics.show_relay("planted")
    metrics.show_stream("planted", ["planted"])
    for show in (metrics.show_imports, metrics.show_projection, metrics.show_alerts):
        show()
    group, topic = {"group": "planted"}, {"topic": "planted.v1"}
    shown = {
        **{f"consumer_{name}": group for name in ("retries", "fenced", "stalls", "rebalances")},
        **{f"outbox_{name}": {"schema": "planted"} for name in ("published", "refused")},
        "consumer_records": {**group, **topic, "outcome": "dead_letter"},
        **{f"stream_{name}": {"topic": "planted"} for name in ("events", "unreadable")},
        "stream_resyncs": {"reason": "planted"},
        "dlq_records": {**group, **topic, "reason": "bug"},
    }
    for name, labels in shown.items():
        assert REGISTRY.get_sample_value(f"headway_{name}_total", labels) == 0
    for name, labels in CLOSED.items():
        assert REGISTRY.get_sample_value(f"headway_{name}_total", labels) is not None


def test_what_only_a_worker_knows_is_shown_once_it_has_told() -> None:
    registry = CollectorRegistry()
    gauge = metrics.OwnGauge("planted_seconds", "Planted.", registry=registry)
    assert generate_latest(registry) == b""
    gauge.set(0)
    assert b"planted_seconds 0.0" in generate_latest(registry)
