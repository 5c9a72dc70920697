"""What the interface names and nobody builds yet says so; 405 names what a path takes."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from libs.common.clock import SystemClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.ids import secret
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from services.alerts.domain.unbuilt import UNBUILT
from services.standalone.composition import composed


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application of all services; nothing here needs its database."""
    clock = SystemClock()
    url = "postgresql://nobody@localhost:1/none"
    settings = CommonSettings(data_dir=tmp_path)
    resources = Resources(clock, settings, url, MemoryLog(clock), secret(48).encode(), "p")
    async with composed(resources) as composition:
        transport = httpx.ASGITransport(composition.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://all") as client:
            yield client


@pytest.mark.parametrize(("method", "path"), [entry[:2] for entry in UNBUILT])
async def test_alerts_paths_are_known_and_ask_for_a_key(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path.replace("{id}", "x"))
    assert answer.status_code == 401, answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/events", "GET, POST"),
        ("DELETE", "/v1/deals", "GET"),
        ("POST", "/v1/deals/x", "GET"),
        ("POST", "/v1/pipelines/x", "DELETE, GET, PUT"),
    ],
)
async def test_405_names_the_methods_of_the_path(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.json()["detail"]
