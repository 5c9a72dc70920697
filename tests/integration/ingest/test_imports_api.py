"""`/v1/imports` over HTTP: uploads, limits, bombs, states, errors, walls."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.integration.ingest.conftest import SETTINGS, Api, resources, running
from tests.integration.ingest.fakes import ScriptedLog, ndjson, stage_event

pytestmark = pytest.mark.postgres
NDJSON = {"content-type": "application/x-ndjson"}
GZIP = NDJSON | {"content-encoding": "gzip"}


def files(api: Api) -> list[Path]:
    folder = api.service.state.files._folder
    return sorted(folder.iterdir()) if folder.exists() else []


async def start(api: Api, body: Any, headers: dict[str, str] = NDJSON, **params: Any) -> str:
    answer = await api.client.post("/v1/imports", content=body, headers=headers, params=params)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["import_id"])


async def test_an_import_is_worked_off(api: Api) -> None:
    body = ndjson(stage_event("1"), stage_event("2", 7), stage_event("1")) + b"\n"
    import_id = await start(api, body)
    before = (await api.client.get(f"/v1/imports/{import_id}")).json()
    assert (before["state"], before["rows"], before["finished_at"]) == ("running", 0, None)
    after = await api.ended(import_id)
    shown = {name: after[name] for name in ("state", "rows", "accepted", "duplicates", "rejected")}
    assert shown == {"state": "done", "rows": 4, "accepted": 1, "duplicates": 1, "rejected": 1}
    assert (after["skipped"], after["import_id"]) == (1, import_id)
    assert after["finished_at"] is not None
    errors = await api.client.get(f"/v1/imports/{import_id}/errors")
    assert errors.headers["content-type"].startswith("application/x-ndjson")
    (line,) = [json.loads(text) for text in errors.text.splitlines()]
    assert (line["row"], line["code"]) == (2, "invalid_field")
    assert json.loads(line["raw"])["id"] == "2"


async def test_errors_of_many_rows_come_in_pages(api: Api) -> None:
    import_id = await start(api, ndjson(*(stage_event(str(n), 7) for n in range(10))))
    await api.ended(import_id)
    answer = await api.client.get(f"/v1/imports/{import_id}/errors")
    assert [json.loads(line)["row"] for line in answer.text.splitlines()] == list(range(1, 11))


async def test_gzip_and_dry_run(api: Api) -> None:
    body = gzip.compress(ndjson(stage_event("1"), stage_event("2")))
    shown = await api.ended(await start(api, body, GZIP, dry_run="true"))
    assert (shown["accepted"], shown["dry_run"], api.log.appends) == (2, True, 0)
    assert (await api.ended(await start(api, body, GZIP)))["accepted"] == 2
    assert api.log.ids == ["1", "2"]


@pytest.mark.parametrize(
    ("headers", "params", "status", "code"),
    [
        ({"content-type": "text/csv"}, {}, 422, "invalid_parameter"),
        (NDJSON, {"mapping": "m1"}, 422, "unknown_mapping"),
        ({"content-type": "application/json"}, {}, 415, "unsupported_media_type"),
        (NDJSON | {"content-encoding": "zstd"}, {}, 415, "unsupported_media_type"),
        (GZIP, {}, 400, "invalid_encoding"),
        (NDJSON, {"origin": "moon"}, 422, "invalid"),
        (NDJSON, {"recorded": "later"}, 422, "invalid"),
        (NDJSON, {"dry_run": "perhaps"}, 422, "invalid"),
        (NDJSON | {"content-length": str(3 << 30)}, {}, 413, "too_large"),
    ],
)
async def test_what_cannot_be_imported_is_refused(
    api: Api, headers: dict[str, str], params: dict[str, str], status: int, code: str
) -> None:
    answer = await api.client.post("/v1/imports", content=b"{}\n", headers=headers, params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert files(api) == []


async def test_no_import_is_live(api: Api) -> None:
    """What it brings would pass the gate that alerts hold imports by, and be streamed."""
    answer = await api.client.post(
        "/v1/imports", content=b"{}\n", headers=NDJSON, params={"origin": "live"}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["parameter"], error["detail"]) == (
        "origin", "Input should be 'backfill' or 'reconcile'",
    )  # fmt: skip


@pytest.mark.parametrize("origin", ["backfill", "reconcile"])
async def test_an_import_says_what_it_is_for(api: Api, origin: str) -> None:
    shown = await api.ended(await start(api, ndjson(stage_event("1")), origin=origin))
    assert shown["origin"] == origin


async def test_a_bomb_is_refused_and_leaves_no_file(api: Api) -> None:
    bomb = gzip.compress(b"\n" * (200 << 20), 9)
    answer = await api.client.post("/v1/imports", content=bomb, headers=GZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert files(api) == []


async def small(api: Api, **limits: Any) -> None:
    """Give the running service other limits."""
    settings = replace(SETTINGS, **limits)
    state = api.service.state
    state.files._settings = settings
    object.__setattr__(state, "settings", settings)


async def test_an_import_over_the_limit_is_413_by_counting(api: Api) -> None:
    await small(api, max_import_bytes=1_000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    answer = await api.client.post("/v1/imports", content=chunks(), headers=NDJSON)
    assert answer.status_code == 413
    assert files(api) == []


async def test_a_full_folder_is_503(api: Api) -> None:
    await start(api, b"{}\n" * 300)
    await small(api, max_import_folder_bytes=1_000)
    answer = await api.client.post("/v1/imports", content=b"{}\n" * 50, headers=NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (503, "imports_full")
    assert int(answer.headers["retry-after"]) > 0
    assert len(files(api)) == 1


async def test_silence_ends_an_upload(api: Api) -> None:
    await small(api, import_idle=0.05)
    silence = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"{}\n"
        await silence.wait()

    answer = await api.client.post("/v1/imports", content=chunks(), headers=NDJSON)
    assert answer.status_code == 408
    assert files(api) == []


async def test_imports_are_listed_latest_first_and_behind_the_wall(api: Api) -> None:
    made = [await start(api, b"{}\n") for _ in range(3)]
    first = (await api.client.get("/v1/imports?limit=2")).json()
    rest = (await api.client.get(f"/v1/imports?limit=2&cursor={first['next_cursor']}")).json()
    listed = [item["import_id"] for item in first["items"] + rest["items"]]
    assert listed == sorted(made, reverse=True)
    assert (first["has_more"], rest["has_more"]) == (True, False)
    rival = await api.new_tenant(api.tenant + "-rival")
    assert (await rival.get("/v1/imports")).json()["items"] == []
    for path in (f"/v1/imports/{made[0]}", f"/v1/imports/{made[0]}/errors"):
        assert (await rival.get(path)).status_code == 404
    for unknown in ("rubbish", str(UUID(int=0))):
        assert (await api.client.get(f"/v1/imports/{unknown}")).status_code == 404


async def test_an_import_survives_a_restart_of_the_service(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    import_id = await start(api, ndjson(*(stage_event(str(n)) for n in range(25))))
    log = ScriptedLog()
    settings = replace(SETTINGS, import_chunk_rows=10)
    built = resources(database_url, tmp_path, log, "p2")
    async with running(built, settings) as (service, _):
        api.service = service
        assert (await api.ended(import_id))["accepted"] == 25
    assert len(log.ids) == 25
