"""`GET /v1/imports/{id}/errors`: one line for each rejected row, however many they are."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.ingest.domain.rows import RAW_LIMIT
from tests.integration.ingest.conftest import SETTINGS, Api, resources, running
from tests.integration.ingest.fakes import ScriptedLog, ndjson, stage_event

pytestmark = pytest.mark.postgres
NDJSON = {"content-type": "application/x-ndjson"}
MANY = 4_500
"""Rows: three chunks of the largest kind, and four pages of errors."""
PAGE = 1_000
_LONG = b'"' + "ü".encode() * 5_000


@pytest.fixture
async def paged(api: Api, database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The same installation with pages and chunks as users have them."""
    settings = replace(SETTINGS, export_page=PAGE)
    built = resources(database_url, tmp_path, ScriptedLog(), "p2")
    async with running(built, settings) as (service, _):
        api.service = service
        yield api


def row(number: int) -> tuple[bytes, str]:
    """A row and the code that it is rejected with; none where it is sound."""
    match number % 5:
        case 0:
            return ndjson(stage_event(str(number))).rstrip(b"\n"), ""
        case 1:
            return b"{no JSON}", "invalid_json"
        case 2:
            return b"\xff", "invalid_utf8"
        case 3:
            return (_LONG, "invalid_json") if number % 1_000 == 3 else (b"1", "invalid_field")
        case _:
            return ndjson(stage_event(str(number), 7)).rstrip(b"\n"), "invalid_field"


async def imported(api: Api) -> tuple[str, dict[int, str], dict[str, Any]]:
    """The path of the import, the code of each bad row, and how it ended."""
    rows = {number: row(number) for number in range(1, MANY + 1)}
    body = b"".join(content + b"\n" for content, _ in rows.values())
    answer = await api.client.post("/v1/imports", content=body, headers=NDJSON)
    import_id = answer.json()["import_id"]
    ended = await api.ended(import_id)
    return import_id, {n: code for n, (_, code) in rows.items() if code}, ended


async def test_each_of_thousands_of_bad_rows_is_told_with_its_reason(paged: Api) -> None:
    import_id, wrong, ended = await imported(paged)
    assert (ended["state"], ended["rows"], ended["rejected"]) == ("done", MANY, len(wrong))
    answer = await paged.client.get(f"/v1/imports/{import_id}/errors")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["row"] for line in lines] == sorted(wrong), "each once, in the order of the file"
    assert {line["row"]: line["code"] for line in lines} == wrong
    assert all(set(line) == {"row", "code", "detail", "raw"} and line["detail"] for line in lines)
    assert max(len(line["raw"]) for line in lines) <= 4 * RAW_LIMIT
    pages = paged.service.state.reads.import_errors(paged.tenant, UUID(import_id))
    sizes = [len(page) async for page in pages]
    assert (max(sizes), sum(sizes)) == (PAGE, len(wrong)), "no more than a page is held at a time"
