"""The joined status: every service's own words, and who does not answer."""

from typing import Any

import httpx
import pytest

from libs.common.process.commands import COMMANDS
from services.standalone.gateway.fleet import fleet_of
from services.standalone.gateway.page import render
from tests.unit.standalone.gateway import test_forward
from tests.unit.standalone.gateway.test_forward import Upstream, refused

LAG = {"reader_group": "funnel", "topic": "t", "partitions": 2, "lag_records": 7}


@pytest.fixture(autouse=True)
def _one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = ",".join(f"{name}-api=http://{name}" for name in COMMANDS)
    monkeypatch.setattr(test_forward, "FLEET", fleet)


def status(name: str, **changes: Any) -> Any:
    told: dict[str, Any] = {
        "services": {name: []},
        "migrations": {name: []},
        "lag": [],
        "log_fault": None,
        "unappended_seconds": None,
    }
    return lambda _: httpx.Response(200, json={**told, **changes})


async def asked(**changes: Any) -> httpx.Response:
    upstream = Upstream(**{name: status(name) for name in COMMANDS} | changes)
    return await test_forward.ask(upstream, "GET", "/v1/status", headers={"Authorization": "k"})


async def test_parts_are_joined() -> None:
    told = (await asked(funnel=status("funnel", lag=[LAG], log_fault="away"))).json()
    assert told["services"] == told["migrations"] == {name: [] for name in COMMANDS}
    assert (told["lag"], told["log_fault"]) == ([LAG], "away")
    unknown = {"faults": ["process: was not asked yet"], "warnings": []}
    assert told["processes"] == {f"{name}-api": unknown for name in COMMANDS}


async def test_what_ingest_holds_back_is_told() -> None:
    told = (await asked(ingest=status("ingest", unappended_seconds=7.5))).json()
    assert told["unappended_seconds"] == 7.5
    assert (await asked()).json()["unappended_seconds"] is None
    nothing = (await asked(ingest=status("ingest", unappended_seconds=0.0))).json()
    assert nothing["unappended_seconds"] == 0


async def test_a_service_that_is_away_is_its_own_fault() -> None:
    told = (await asked(alerts=refused)).json()
    assert told["services"]["alerts"] == ["no process of this service answers"]
    assert told["services"]["funnel"] == []
    assert "alerts" not in told["migrations"]


async def test_a_refusal_is_passed_on_in_its_own_words() -> None:
    problem = {"code": "scope_missing"}
    answer = await asked(ingest=lambda _: httpx.Response(403, json=problem))
    assert (answer.status_code, answer.json()) == (403, problem)


async def test_nobody_at_all_is_unavailable() -> None:
    answer = await asked(**dict.fromkeys(COMMANDS, refused))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_readiness_needs_anybody_and_warns_of_each() -> None:
    answer = await test_forward.ask(Upstream(), "GET", "/readyz")
    assert answer.status_code == 503
    assert set(answer.json()["warnings"]) == {f"gateway.{name}" for name in COMMANDS}


def test_the_page_escapes_what_processes_say() -> None:
    fleet = fleet_of("ingest-api=http://a,funnel-api=http://b")
    fleet.processes[0].is_well({"log": "<away>"})
    fleet.processes[1].is_not({"database": "<gone>"})
    html = render(fleet)
    assert "<td>ingest-api</td><td>ready</td>" in html
    assert 'href="/docs"' in html
    assert "log: &lt;away&gt;" in html
    assert "database: &lt;gone&gt;" in html
