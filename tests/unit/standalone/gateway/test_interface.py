"""One interface in both shapes: the gateway joins what the one process with everything answers."""

from collections.abc import Sequence

import httpx
import pytest
from fastapi import FastAPI

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.process.commands import COMMANDS
from libs.common.process.status import Examiner
from libs.common.process.status_route import status_service
from libs.common.runtime import Service
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from services.standalone import routes
from services.standalone.gateway.app import gateway_app
from services.standalone.gateway.fleet import fleet_of
from tests.unit.standalone.gateway.test_forward import Upstream, refused
from tests.unit.standalone.test_process_table import SERVICES

NOWHERE = "postgresql://headway@127.0.0.1:1/headway"
CLOCK = SystemClock()
EXAMINER = Examiner(tuple(SERVICES.values()), NOWHERE, {}, MemoryLog(CLOCK))
PAGES = ("/docs", "/openapi.json", *(f"/openapi/{name}.json" for name in COMMANDS))


def app_of(services: Sequence[Service]) -> FastAPI:
    """Built as a process builds it; nothing is opened, and no page needs it."""
    keys = Authenticator(Database(NOWHERE, "headway_ingest_api"), bytes(32), CLOCK)
    return create_app(services, authenticator=keys, cursors=Cursors(bytes(32)), clock=CLOCK)


class Processes(httpx.AsyncBaseTransport):
    """An API process of each service, found by its host."""

    def __init__(self) -> None:
        told = status_service(EXAMINER)
        self._apps = {
            name: httpx.ASGITransport(app_of([service, told])) for name, service in SERVICES.items()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._apps[request.url.host].handle_async_request(request)


def gateway(transport: httpx.AsyncBaseTransport) -> FastAPI:
    fleet = fleet_of(",".join(f"{name}-api=http://{name}" for name in COMMANDS))
    return gateway_app(fleet, transport, CLOCK)


async def ask(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://headway") as client:
        return await client.get(path)


@pytest.fixture(scope="module")
def one() -> FastAPI:
    return app_of([*SERVICES.values(), routes.service(EXAMINER)])


@pytest.fixture(scope="module")
def many() -> FastAPI:
    return gateway(Processes())


@pytest.mark.parametrize("path", PAGES)
async def test_both_shapes_answer_the_same(one: FastAPI, many: FastAPI, path: str) -> None:
    alone, joined = await ask(one, path), await ask(many, path)
    assert (alone.status_code, joined.status_code) == (200, 200)
    assert alone.headers["content-type"] == joined.headers["content-type"]
    if path.endswith(".json"):
        assert joined.json() == alone.json()
    else:
        assert joined.text == alone.text


async def test_the_document_has_every_service_and_the_status(many: FastAPI) -> None:
    document = (await ask(many, "/openapi.json")).json()
    assert document["info"]["title"] == "Headway"
    for name in COMMANDS:
        own = (await ask(many, f"/openapi/{name}.json")).json()
        assert own["paths"].keys() <= document["paths"].keys()
    assert "/v1/status" in document["paths"]


async def test_no_schema_is_called_by_the_module_that_it_is_in(one: FastAPI) -> None:
    """FastAPI does that where two services give one name to two shapes."""
    schemas = (await ask(one, "/openapi.json")).json()["components"]["schemas"]
    assert [name for name in schemas if "__" in name] == []


async def test_a_document_that_would_lack_a_part_is_none() -> None:
    def well(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"info": {}, "paths": {}})

    upstream = Upstream(**dict.fromkeys(COMMANDS, well) | {"alerts": refused})
    answer = await ask(gateway(upstream), "/openapi.json")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "alerts" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert (await ask(gateway(upstream), "/docs")).status_code == 200, "the page needs nobody"
