"""Unknown and repeated query parameters are refused, wherever the known ones are declared."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, Field

from libs.common.web import problems
from libs.common.web.strict import refuse_unknown_parameters

Many = Annotated[list[str] | None, Query()]


class Given(BaseModel):
    plain: str = ""
    start: str = Field("", alias="from")


def inner(deep: str = "") -> str:
    return deep


def application() -> FastAPI:
    app, router = FastAPI(), APIRouter()

    @router.get("/by-name")
    async def by_name(
        deep: Annotated[str, Depends(inner)], own: str = "", many: Many = None
    ) -> str:
        return deep + own + "".join(many or ())

    @router.get("/by-model")
    async def by_model(given: Annotated[Given, Query()]) -> str:
        return given.plain + given.start

    app.include_router(router, dependencies=[Depends(refuse_unknown_parameters)])
    problems.install(app)
    return app


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("/by-name?own=1&deep=2", []),
        ("/by-name?own=1&other=2", ["other"]),
        ("/by-model?plain=1&from=2", []),
        ("/by-model?start=1", ["start"]),
        ("/by-model?given=1", ["given"]),
        ("/by-name?many=1&many=2&own=3", []),
        ("/by-name?own=1&own=1", ["own"]),
        ("/by-name?deep=1&deep=2", ["deep"]),
        ("/by-model?from=1&from=2", ["from"]),
    ],
)
async def test_what_no_declaration_allows_is_refused(url: str, refused: list[str]) -> None:
    transport = ASGITransport(application())
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        answer = await client.get(url)
    assert answer.status_code == (422 if refused else 200), answer.text
    if refused:
        assert [error["parameter"] for error in answer.json()["errors"]] == refused


@pytest.mark.parametrize(
    "query", ["own=%ff", "own=%C0%A0", "own=%ED%A0%80", "%ff=1", "own=%C3&deep=%A9"]
)
async def test_a_query_that_is_no_utf8_is_refused(query: str) -> None:
    """Read with replacement characters, different questions would get one answer."""
    transport = ASGITransport(application())
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        answer = await client.get(f"/by-name?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_encoding")
        assert (await client.get("/by-name?own=%C3%A9&deep=é%25")).json() == "é%é"
