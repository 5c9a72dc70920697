"""Which process gets the next request, and what is said of the fleet."""

import httpx
import pytest

from libs.common.process.commands import ConfigurationError
from services.standalone.gateway.fleet import UNKNOWN, Fleet, fleet_of
from services.standalone.gateway.watch import look
from services.standalone.stack.table import GATEWAY, PARTS, addresses

TEXT = "ingest-api-1=http://a:1, ingest-api-2=http://b:2/, ingest-consumer=http://c:3"


def fleet() -> Fleet:
    found = fleet_of(TEXT)
    for process in found.processes:
        process.is_well({})
    return found


def test_names_and_addresses_are_read() -> None:
    found = [(p.name, p.url, p.service, p.is_api) for p in fleet_of(TEXT).processes]
    assert found == [
        ("ingest-api-1", "http://a:1", "ingest", True),
        ("ingest-api-2", "http://b:2", "ingest", True),
        ("ingest-consumer", "http://c:3", "ingest", False),
    ]


@pytest.mark.parametrize(
    "text",
    ["ingest-api", "ingest-api=", "=http://a:1", "ingest-api=a:1", "ingest-api=https://a",
     "ingest=http://a:1", "crm-api=http://a:1", "ingest-api=http://"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="HEADWAY_GATEWAY_PROCESSES"):
        fleet_of(text)


def test_the_launchers_table_is_read_back() -> None:
    urls = {part: f"http://127.0.0.1:{number}" for number, part in enumerate(PARTS, 8000)}
    read = {process.name: process.url for process in fleet_of(addresses(urls)).processes}
    assert read == {part.name: url for part, url in urls.items() if part != GATEWAY}


def test_apis_take_turns_and_workers_get_nothing() -> None:
    fleet_ = fleet()
    firsts = [fleet_.apis("ingest")[0].name for _ in range(4)]
    assert firsts == ["ingest-api-1", "ingest-api-2"] * 2
    assert fleet_.apis("reporting") == []


def test_one_that_is_not_ready_is_asked_last() -> None:
    fleet_ = fleet()
    fleet_.processes[0].is_not({"database": "gone"})
    for _ in range(3):
        assert [p.name for p in fleet_.apis("ingest")] == ["ingest-api-2", "ingest-api-1"]
    assert fleet_.is_served("ingest")
    fleet_.processes[1].is_not({"process": "gone"})
    assert not fleet_.is_served("ingest")


async def looked(answer: httpx.Response | Exception) -> tuple[bool, list[str], list[str]]:
    """What is known of a process after it was asked and answered so."""

    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    process = fleet_of("funnel-api=http://a:1").processes[0]
    assert (process.ready, process.checks) == (False, UNKNOWN)
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        await look(http, process)
    return process.ready, list(process.faults), list(process.warned)


async def test_a_look_notes_readiness_with_its_reasons() -> None:
    assert await looked(httpx.Response(200, json={"status": "ok"})) == (True, [], [])
    warned = {"status": "degraded", "warnings": {"log": "away"}}
    assert await looked(httpx.Response(200, json=warned)) == (True, [], ["log: away"])
    failed = {"status": "unavailable", "checks": {"database": "gone"}}
    assert await looked(httpx.Response(503, json=failed)) == (False, ["database: gone"], [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(500, text="oops"), "process: answered 500"),
        (httpx.Response(503, json=[1]), "process: answered 503"),
        (httpx.ConnectError("refused"), "process: does not answer: refused"),
        (httpx.ReadTimeout("slow"), "process: no answer within 3 s"),
    ],
)
async def test_a_look_notes_what_else_may_come(
    answer: httpx.Response | Exception, said: str
) -> None:
    assert await looked(answer) == (False, [said], [])
