"""Slashes of ids: what is encoded belongs to the id, what is not parts the path."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from libs.common.web.slashes import SlashRoute

router = APIRouter(route_class=SlashRoute)


@router.get("/deals/{deal_id:path}/stages")
async def stages(deal_id: str) -> list[str]:
    return ["stages", deal_id]


@router.get("/deals/{deal_id:path}")
async def deal(deal_id: str) -> list[str]:
    return ["deal", deal_id]


@router.get("/alerts/{alert_id}")
async def alert(alert_id: str) -> list[str]:
    return ["alert", alert_id]


@pytest.fixture
async def client() -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://web")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/deals/a", ["deal", "a"]),
        ("/deals/a/b", ["deal", "a/b"]),
        ("/deals/a/stages", ["stages", "a"]),
        ("/deals/a%2Fstages", ["deal", "a/stages"]),
        ("/deals/a%2fstages", ["deal", "a/stages"]),
        ("/deals/a%2Fstages/stages", ["stages", "a/stages"]),
        ("/deals/a%2Fb/c", ["deal", "a/b/c"]),
        ("/deals/stages%2Fstages/stages", ["stages", "stages/stages"]),
        ("/deals/%2F", ["deal", "/"]),
        ("/deals/a%252Fstages", ["deal", "a%2Fstages"]),
        ("/deals/a%2Fstages%20%C3%A9", ["deal", "a/stages é"]),
        ("/deals/%FF%2Fstages", ["deal", "\ufffd/stages"]),
        ("/deals/a%ED%B0%AFstages%2Fb", ["deal", "a\ufffd\ufffd\ufffdstages/b"]),
        ("/deals/a%2Fstages?x=%2F", ["deal", "a/stages"]),
        ("/alerts/a%2Fb", ["alert", "a/b"]),
    ],
)
async def test_an_encoded_slash_belongs_to_the_id(
    client: httpx.AsyncClient, path: str, expected: list[str]
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, expected)


async def test_a_plain_slash_still_parts_the_path(client: httpx.AsyncClient) -> None:
    assert (await client.get("/alerts/a/b")).status_code == 404
    assert (await client.post("/deals/a%2Fstages")).status_code == 405


async def test_a_path_that_differs_from_its_raw_form_is_taken_as_it_is() -> None:
    scope = {"type": "http", "method": "GET", "path": "/deals/b", "raw_path": b"/x/deals/a%2Fb"}
    found = router.routes[1].matches(scope)[1]
    assert found["path_params"] == {"deal_id": "b"}
