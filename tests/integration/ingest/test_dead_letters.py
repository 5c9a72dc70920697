"""Dead letters of every reader in one table: read once, shown to their own, without secrets."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.topics import CRM_EVENTS, DEALS, dlq
from libs.common.db.database import Database
from libs.common.eventlog.port import NewRecord, Record
from services.ingest.adapters.letter_counts import LetterCounts
from tests.integration.ingest.burying import FAILED_AT, Graveyard, graveyard
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres
CANARY = "hw_canarycanary_not-to-be-seen"


@pytest.fixture
async def dead(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Graveyard]:
    tenant = "t" + format(abs(hash(request.node.name)), "x")
    async with graveyard(database_url, tmp_path, tenant) as here:
        yield here


async def test_a_letter_is_kept_whole_and_tells_whence_it_came(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    await dead.bury(record, "bug", "KeyError: 'x'")
    await dead.read()
    (listed,) = await dead.listed()
    told = await dead.whole(listed["id"])
    assert listed.items() <= told.items()
    assert (told["code"], told["detail"], told["state"]) == ("bug", "KeyError: 'x'", "open")
    assert (told["topic"], told["partition"]) == (CRM_EVENTS, record.partition)
    assert (told["offset"], told["reader_group"], told["tries"]) == (record.offset, "funnel", 3)
    assert (told["source"], told["event_id"], told["deal_id"]) == ("/crm", "e1", "D-e1")
    assert told["first_seen_at"] == told["last_seen_at"] == "2026-03-02T12:30:00Z"
    assert record.value is not None
    assert record.key is not None
    assert (told["body"], told["body_encoding"]) == (record.value.decode(), "text")
    assert told["record_key"] == record.key.decode()
    assert {"name": "ce_type", "value": "deal.stage_changed"} in told["headers"]
    assert told["mended_by"] == "redrive"
    assert told["service_version"]
    assert told["history"] == []


async def test_what_is_read_twice_is_one_letter(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    for _ in range(2):
        await dead.bury(record)
    await dead.read()
    ((first),) = await dead.listed()
    assert first["tries"] == 3
    await dead.bury(record, at=FAILED_AT + timedelta(hours=1))  # after a reset of its reader
    await dead.read()
    (again,) = await dead.listed()
    assert (again["id"], again["tries"]) == (first["id"], 6)
    assert again["last_seen_at"] == "2026-03-02T13:30:00Z"


async def test_every_topic_with_readers_is_read(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    await dead.bury(replace(record, topic=DEALS), "undecodable", group="alerts")
    await dead.read()
    (letter,) = await dead.listed()
    assert (letter["topic"], letter["reader_group"]) == (DEALS, "alerts")
    assert letter["mended_by"] == "re-evaluation"
    assert await dead.state_of("e1") == ("published", None), "the event itself is well"


RUBBISH = {
    "nothing": NewRecord(None, None),
    "bytes": NewRecord(b"\xff\x00", b"\xff\xfe\x00", (("\x00name", b"\x00\xff"), ("", b""))),
    "numbers": NewRecord(
        b"k", b"{", (("dlq.original.topic", CRM_EVENTS.encode()),
                     ("dlq.original.partition", "²".encode()),
                     ("dlq.original.offset", b"9" * 30), ("dlq.attempts", b"-1"),
                     ("dlq.first.failed.at", b"yesterday"), ("dlq.error.class", b"'; DROP")),
    ),
    "long": NewRecord(
        b"k" * 5_000, b"{}", tuple((name, b"x" * 5_000) for name in (
            "ce_id", "ce_source", "ce_tenantid", "dlq.consumer.group", "dlq.error.message",
            "dlq.service.version")),
    ),
    "deep": NewRecord(b"k", b"[" * 100_000, ()),
    "huge id": NewRecord(b"k", b'{"deal_id": "' + b"d" * 5_000 + b'"}', ()),
    "no letter": NewRecord(b"k", b"{}", (("headway-dead-letter", b"7"),)),
}  # fmt: skip


@pytest.mark.parametrize("record", RUBBISH.values(), ids=list(RUBBISH))
async def test_whatever_a_record_holds_it_becomes_the_operators_letter(
    dead: Graveyard, record: NewRecord
) -> None:
    before = len(await dead.listed(dead.operator, limit=500))
    await dead.read()
    await dead.put(dlq(CRM_EVENTS), record)
    await dead.read()
    assert await dead.listed() == []
    letters = await dead.listed(dead.operator, limit=500)
    assert len(letters) == before + 1
    told = await dead.operator.get(f"/v1/dead-letters/{letters[0]['id']}")
    assert told.status_code == 200


async def test_bytes_that_are_no_text_come_as_base64(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    await dead.bury(replace(record, value=b"\xff\xfe"), "undecodable")
    await dead.bury(replace(record, value=None, offset=99), "undecodable")
    await dead.read()
    bodies = [await dead.whole(letter["id"]) for letter in await dead.listed()]
    assert {(told["body"], told["body_encoding"], told["bytes"]) for told in bodies} == {
        (base64.b64encode(b"\xff\xfe").decode(), "base64", 2),
        (None, None, None),
    }


def with_header(record: Record, name: str, value: str) -> Record:
    return replace(record, headers=(*record.headers, (name, value.encode())))


async def test_headers_that_may_hold_a_secret_show_their_name_only(
    dead: Graveyard, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    secret = with_header(with_header(record, "Authorization", CANARY), "x-api-key", CANARY)
    await dead.bury(secret)
    await dead.read()
    (letter,) = await dead.listed()
    answers = [
        await dead.client.get("/v1/dead-letters"),
        await dead.client.get(f"/v1/dead-letters/{letter['id']}"),
        await dead.client.post("/v1/dead-letters/redrive", json={"ids": [letter["id"]]}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert {"name": "Authorization", "value": None} in answers[1].json()["headers"]
    assert CANARY not in "".join(answer.text for answer in answers)
    assert CANARY not in "".join(capsys.readouterr())


async def test_a_letter_is_shown_to_its_tenant_only(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    await dead.bury(record)
    await dead.read()
    (letter,) = await dead.listed()
    other = await dead.new_tenant(dead.tenant + "-other")
    ids = {"ids": [letter["id"]]}
    for foreign in (other, dead.operator):
        assert letter["id"] not in [one["id"] for one in await dead.listed(foreign, limit=500)]
        assert (await foreign.get(f"/v1/dead-letters/{letter['id']}")).status_code == 404
        tried = (await foreign.post("/v1/dead-letters/redrive", json=ids)).json()
        assert [one["status"] for one in tried["results"]] == ["not_found"]
        closed = await foreign.post("/v1/dead-letters/dismiss", json=ids | {"reason": "mine"})
        assert closed.json() == {"dismissed": 0, "skipped": [letter["id"]]}
    assert [one["state"] for one in await dead.listed()] == ["open"]


async def test_only_an_admin_or_the_operator_may_look(dead: Graveyard) -> None:
    made = await dead.client.post(
        "/v1/api-keys", json={"name": "n", "scopes": ["events:write", "deals:read"]}
    )
    writer, nobody = dead.with_key(made.json()["key"]), dead.with_key(None)
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/v1/dead-letters", None),
        ("GET", f"/v1/dead-letters/{'0' * 32}", None),
        ("POST", "/v1/dead-letters/redrive", {"code": "bug"}),
        ("POST", "/v1/dead-letters/dismiss", {"ids": ["0" * 32], "reason": "r"}),
    ]
    for method, path, body in calls:
        assert (await writer.request(method, path, json=body)).status_code == 403
        assert (await nobody.request(method, path, json=body)).status_code == 401


async def test_filters_and_pages(dead: Graveyard) -> None:
    records = await dead.accepted(*(stage_event(f"e{n}") for n in range(5)))
    for n, record in enumerate(records):
        at = FAILED_AT + timedelta(hours=n)
        await dead.bury(record, "bug" if n % 2 else "invalid", at=at)
    await dead.read()

    async def ids(**query: Any) -> list[str]:
        return [letter["event_id"] for letter in await dead.listed(**query)]

    assert await ids() == ["e4", "e3", "e2", "e1", "e0"]
    assert await ids(code="bug") == ["e3", "e1"]
    assert await ids(code=["bug", "invalid"], state="redriven") == []
    assert await ids(deal_id="D-e2") == ["e2"]
    assert await ids(event_id="e3", source="/crm") == ["e3"]
    assert await ids(source="/other") == []
    window = {"from": "2026-03-02T13:30:00Z", "to": "2026-03-02T15:30:00Z"}
    assert await ids(**window) == ["e2", "e1"]
    seen, query = list[str](), dict[str, Any](limit=2, code="invalid")
    while True:
        page = (await dead.client.get("/v1/dead-letters", params=query)).json()
        seen += [letter["event_id"] for letter in page["items"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ["e4", "e2", "e0"]
    foreign = await dead.client.get(
        "/v1/dead-letters", params={"cursor": query["cursor"], "code": "bug"}
    )
    assert (foreign.status_code, foreign.json()["code"]) == (400, "invalid_cursor")
    for bad in ({"state": "lost"}, {"from": "noon"}, {"deal": "x"}):
        refused = await dead.client.get("/v1/dead-letters", params=bad)
        assert refused.status_code == 422, bad


async def test_open_letters_are_counted_over_all_tenants(dead: Graveyard) -> None:
    worker = Database(dead.url, "headway_ingest_worker", pool_size=1)
    counts = LetterCounts(worker)
    before = (await counts.open()).get("counted", 0)
    for record in await dead.accepted(stage_event("e1"), stage_event("e2")):
        await dead.bury(record, "counted")
    await dead.read()
    assert (await counts.open())["counted"] == before + 2
    await dead.client.post("/v1/dead-letters/redrive", json={"deal_id": "D-e1"})
    assert (await counts.open())["counted"] == before + 1
    await worker.close()
