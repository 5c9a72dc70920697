"""Uploads that end before their end: nothing of them is imported, nothing is left, and the whole
file sent again counts once."""

import asyncio
import fcntl
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.ingest.adapters import imports
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.settings import IngestSettings
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.fakes import ndjson, stage_event

pytestmark = pytest.mark.postgres
ROWS = 400
BODY = ndjson(*(stage_event(str(n), 7 if n % 40 == 0 else "a") for n in range(ROWS)))
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress}
ID = UUID(int=7)


def pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 1_000] for at in range(0, len(body), 1_000))


async def broken_off(api: Api, headers: dict[str, str], sent: bytes) -> None:
    """The client goes away after these bytes, in the middle of what it has announced."""
    coming = pieces(sent)

    async def receive() -> dict[str, Any]:
        if (piece := next(coming, None)) is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(_: Any) -> None: ...

    told = {"authorization": api.client.headers["authorization"], **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/v1/imports", "raw_path": b"/v1/imports", "root_path": "",
        "query_string": b"", "client": ("127.0.0.1", 9), "server": ("ingest", 80),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }  # fmt: skip
    await api.transport.app(scope, receive, send)


async def imported(api: Api, headers: dict[str, str], body: bytes) -> tuple[Any, ...]:
    answer = await api.client.post("/v1/imports", content=body, headers=headers)
    ended = await api.ended(answer.json()["import_id"])
    return tuple(ended[name] for name in ("rows", "accepted", "duplicates", "rejected"))


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_the_client_goes_away_amid_its_body_and_sends_it_again(
    api: Api, encoding: str
) -> None:
    body = ENCODINGS[encoding](BODY)
    headers = {"content-type": "application/x-ndjson", "content-encoding": encoding}
    whole = headers | {"content-length": str(len(body))}
    for part in (0, len(body) // 2, len(body) - 1):
        await broken_off(api, whole, body[:part])
        assert list(api.service.state.files._folder.iterdir()) == []
    assert (await api.client.get("/v1/imports")).json()["items"] == []
    assert await imported(api, headers, body) == (ROWS, ROWS - 10, 0, 10)
    assert await imported(api, headers, body) == (ROWS, 0, ROWS - 10, 10)
    assert len(api.log.ids) == len(set(api.log.ids)) == ROWS - 10


async def test_a_body_is_its_upload_s_until_its_import_is_known(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, seen, create = api.service.state.files, list[list[str]](), imports.create

    async def watched(*args: Any) -> None:
        seen.append(files.unheld(before=inf))
        await create(*args)

    monkeypatch.setattr(imports, "create", watched)
    headers = {"content-type": "application/x-ndjson"}
    answer = await api.client.post("/v1/imports", content=BODY, headers=headers)
    assert seen == [[]]
    assert files.unheld(before=inf) == [f"{answer.json()['import_id']}.ndjson"]


@pytest.fixture
def files(tmp_path: Path) -> ImportFiles:
    return ImportFiles(tmp_path, IngestSettings())


async def test_a_sweep_takes_what_a_dead_process_received_and_leaves_what_a_live_one_does(
    files: ImportFiles, tmp_path: Path
) -> None:
    left = tmp_path / "of-the-dead.ndjson.part"
    left.write_bytes(b"{}\n")
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await go.wait()
        yield BODY

    receiving = asyncio.create_task(files.receive(ID, slow(), "identity"))
    await begun.wait()
    files.remove_parts()
    assert [file.name for file in tmp_path.iterdir()] == [f"{ID}.ndjson.part"]
    go.set()
    assert await receiving == (f"{ID}.ndjson", len(BODY))
    assert (tmp_path / f"{ID}.ndjson").read_bytes() == BODY


async def test_a_sweep_between_a_files_making_and_its_lock_harms_no_upload(
    files: ImportFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locking, swept = fcntl.flock, list[int]()

    def late(file: Any, how: int) -> None:
        if not swept:
            swept.append(how)
            files.remove_parts()
        locking(file, how)

    async def body() -> AsyncIterator[bytes]:
        yield BODY

    monkeypatch.setattr(fcntl, "flock", late)
    assert await files.receive(ID, body(), "identity") == (f"{ID}.ndjson", len(BODY))
    assert swept
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [BODY]
