"""The demo is a client: what it asks for, in which order, and what it does when refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.standalone.client import Api, ClientError, Refused
from services.standalone.demo import (
    SeedingFailed,
    SeedProgress,
    define_pipelines,
    demo_key,
    seed,
    until_folded,
)
from services.standalone.layout import Layout, read_private

Answers = dict[str, list[tuple[int, Any]]]
STATE = {"import_id": "i1", "state": "done", "rows": 2, "accepted": 2, "rejected": 0}
FOLDED = {"caught_up": True, "partitions": [{"next_offset": 2, "end_offset": 2}]}
BEHIND = {"caught_up": False, "partitions": [{"next_offset": 1, "end_offset": 2}]}


class Scripted:
    """A transport that answers by script and remembers what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.calls: list[str] = []
        self.bodies: list[bytes] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        call = f"{request.method} {request.url.path}"
        self.calls.append(call)
        self.bodies.append(await request.aread())
        script = self._answers.get(call, [(404, {"code": "not_found", "detail": "none"})])
        status, body = script.pop(0) if len(script) > 1 else script[0]
        return httpx.Response(status, json=body)


def _api(script: Callable[[httpx.Request], Any]) -> Api:
    return Api("http://headway.test", "hw_k_s", httpx.MockTransport(script))


def _progress(told: list[tuple[str, int, int]]) -> SeedProgress:
    return SeedProgress(
        lambda done, total: told.append(("imported", done, total)),
        lambda done, total: told.append(("folded", done, total)),
    )


async def test_the_tenants_key_is_kept_for_its_owner(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    script = Scripted({"POST /v1/tenants": [(201, {"tenant": {}, "api_key": "hw_demo_1"})]})
    async with _api(script) as api:
        assert await demo_key(api, layout, _never) == "hw_demo_1"
        assert await demo_key(api, layout, _never) == "hw_demo_1"
    assert script.calls == ["POST /v1/tenants"]
    assert read_private(layout.demo_key) == "hw_demo_1"


async def _never() -> str:
    raise AssertionError("no key is to be renewed")


async def test_a_tenant_whose_key_file_is_gone_gets_another_key(tmp_path: Path) -> None:
    taken = Scripted({"POST /v1/tenants": [(409, {"code": "id_taken", "detail": "taken"})]})

    async def renew() -> str:
        return "hw_demo_2"

    async with _api(taken) as api:
        assert await demo_key(api, Layout(tmp_path), renew) == "hw_demo_2"


async def test_another_refusal_stays_what_it_is(tmp_path: Path) -> None:
    forbidden = Scripted({"POST /v1/tenants": [(403, {"code": "forbidden", "detail": "no"})]})
    async with _api(forbidden) as api:
        with pytest.raises(Refused, match="no"):
            await demo_key(api, Layout(tmp_path), _never)
    assert not Layout(tmp_path).demo_key.exists()


async def test_pipelines_are_defined_only_where_missing() -> None:
    script = Scripted(
        {
            "GET /v1/pipelines/b2b": [(200, {"id": "b2b", "name": "As the user likes it"})],
            "PUT /v1/pipelines/renewal": [(201, {})],
        }
    )
    async with _api(script) as api:
        await define_pipelines(api)
    assert [call for call in script.calls if call.startswith("PUT")] == [
        "PUT /v1/pipelines/renewal"
    ]
    stages = json.loads(script.bodies[-1])["stages"]
    assert [stage["class"] for stage in stages] == ["open", "open", "open", "won", "lost"]


async def test_seeding_imports_every_line_and_waits_for_the_fold() -> None:
    script = Scripted(
        {
            "POST /v1/imports": [(202, {"import_id": "i1"})],
            "GET /v1/imports/i1": [(200, STATE | {"state": "running", "rows": 1}), (200, STATE)],
            "GET /v1/projection": [(200, BEHIND), (200, FOLDED)],
        }
    )
    told: list[tuple[str, int, int]] = []
    async with _api(script) as api:
        await seed(api, [{"id": "1"}, {"id": "2"}], _progress(told))
    assert script.bodies[0] == b'{"id":"1"}\n{"id":"2"}\n'
    assert told == [("imported", 1, 2), ("imported", 2, 2), ("folded", 1, 2), ("folded", 2, 2)]


@pytest.mark.parametrize("ended", [{"state": "failed"}, {"rejected": 1}])
async def test_a_history_that_is_not_taken_whole_fails_the_start(ended: dict[str, Any]) -> None:
    script = Scripted(
        {
            "POST /v1/imports": [(202, {"import_id": "i1"})],
            "GET /v1/imports/i1": [(200, STATE | ended)],
        }
    )
    async with _api(script) as api:
        with pytest.raises(SeedingFailed, match="not imported"):
            await seed(api, [{"id": "1"}], _progress([]))


async def test_the_fold_is_waited_for_until_it_has_caught_up() -> None:
    script = Scripted({"GET /v1/projection": [(200, BEHIND), (200, FOLDED)]})
    async with _api(script) as api:
        await until_folded(api, lambda done, total: None)
    assert len(script.calls) == 2


async def test_no_answer_is_a_client_error_with_its_own_exit_code() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    async with _api(refuse) as api:
        with pytest.raises(ClientError, match=r"no answer from http://headway\.test") as caught:
            await api.get("/livez")
    assert caught.value.exit_code == 3


async def test_a_refusal_that_is_no_problem_document_is_still_told() -> None:
    async with _api(lambda _: httpx.Response(502, text="bad gateway")) as api:
        with pytest.raises(Refused, match="bad gateway"):
            await api.get("/livez")
