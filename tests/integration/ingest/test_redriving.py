"""Redriving: events enter again under their ids, once in effect; what does not is told why."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.contracts.envelope import Envelope, from_headers
from libs.common.contracts.topics import ALERT_EVENTS, DEALS
from libs.common.eventlog.port import LogUnavailable, Record, RecordTooLarge
from tests.integration.ingest.burying import FAILED_AT, Graveyard, graveyard
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres


@pytest.fixture
async def dead(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Graveyard]:
    tenant = "t" + format(abs(hash(request.node.name)), "x")
    async with graveyard(database_url, tmp_path, tenant) as here:
        yield here


def envelope_of(record: Record) -> Envelope:
    return from_headers(record.headers, record.value)


async def buried(dead: Graveyard, *events: Any, code: str = "bug") -> list[Record]:
    """Events that were accepted and then put aside."""
    records = await dead.accepted(*events)
    for record in records:
        await dead.bury(record, code)
    await dead.read()
    return records


async def everything(dead: Graveyard) -> list[Any]:
    """All that is stored of the tenant, and how much the log holds."""
    connection = await asyncpg.connect(dead.url)
    found: list[Any] = [len(dead.records())]
    for table in ("dead_letters", "dead_letter_history", "acceptance", "audit", "idempotency"):
        rows = await connection.fetch(
            f"SELECT t::text FROM ingest.{table} t WHERE tenant_id = $1 ORDER BY 1",  # noqa: S608
            dead.tenant,
        )
        found.append([row[0] for row in rows])
    await connection.close()
    return found


async def test_an_event_enters_again_as_it_was_accepted(dead: Graveyard) -> None:
    event = stage_event("e1", sequence="7", subject="D", correlationid="c1")
    (record,) = await buried(dead, event)
    assert await dead.state_of("e1") == ("dead", "bug: KeyError: 'x'")
    (letter,) = await dead.listed()
    answer = await dead.redrive(ids=[letter["id"]])
    assert (answer["redriven"], answer["refused"], answer["next_after"]) == (1, 0, None)
    assert [(one["status"], one["event_id"]) for one in answer["results"]] == [("redriven", "e1")]
    first, second = dead.records()
    assert envelope_of(second) == envelope_of(first) == envelope_of(record)
    assert (second.key, second.partition) == (first.key, first.partition)
    assert await dead.state_of("e1") == ("published", None)
    told = await dead.whole(letter["id"])
    assert told["state"] == "redriven"
    (entry,) = told["history"]
    assert (entry["action"], entry["offset"]) == ("redriven", second.offset)
    assert entry["actor"].startswith("key:")
    shown = (await dead.client.get("/v1/events/e1")).json()
    assert (shown["partition"], shown["offset"]) == (second.partition, second.offset)


async def test_events_without_a_time_and_of_imports_keep_what_is_known_of_them(
    dead: Graveyard,
) -> None:
    assumed = stage_event("e1", time=None)
    exported = stage_event("e2", time="2026-01-01T00:00:00Z", timequality="assumed")
    records = await buried(dead, assumed, exported)
    old = envelope_of(records[0])
    headers = dict(records[0].headers) | {
        "ce_origin": b"backfill", "ce_id": b"e3", "ce_recordedtime": b"2026-02-01T00:00:00+00:00",
    }  # fmt: skip
    await dead.bury(replace(records[0], headers=tuple(headers.items()), offset=500))
    await dead.read()
    assert (await dead.redrive(code="bug"))["redriven"] == 3
    again = {envelope_of(record).id: envelope_of(record) for record in dead.records()[-3:]}
    assert again["e1"] == old
    assert again["e2"] == envelope_of(records[1])
    assert (again["e3"].origin, again["e3"].recorded_at.month) == ("backfill", 2)


async def test_a_dry_run_tells_and_changes_nothing(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    (record,) = await dead.accepted(stage_event("e2"))
    await dead.bury(record, "conflict")
    await dead.read()
    before = await everything(dead)
    for headers in ({}, {"Idempotency-Key": "k"}):
        ids = [letter["id"] for letter in await dead.listed()]
        answer = await dead.client.post(
            "/v1/dead-letters/redrive", json={"ids": ids, "dry_run": True}, headers=headers
        )
        told = answer.json()
        assert (told["dry_run"], told["redriven"], told["refused"]) == (True, 1, 1)
        by = {one["event_id"]: one["status"] for one in told["results"]}
        assert by == {"e1": "would_redrive", "e2": "refused"}
    assert await everything(dead) == before


async def test_redriving_twice_appends_once(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    (letter,) = await dead.listed()
    await dead.redrive(ids=[letter["id"], letter["id"]])
    again = await dead.redrive(ids=[letter["id"]])
    assert [(one["status"], one["code"]) for one in again["results"]] == [("refused", "redriven")]
    assert (await dead.redrive(deal_id="D-e1"))["results"] == []
    assert len(dead.records()) == 2


async def test_the_same_command_under_a_key_answers_as_it_did(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    key, body = {"Idempotency-Key": "again-1"}, {"code": "bug"}
    path = "/v1/dead-letters/redrive"
    first = await dead.client.post(path, json=body, headers=key)
    second = await dead.client.post(path, json=body, headers=key)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    other = await dead.client.post(path, json={"code": "invalid"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(dead.records()) == 2


async def test_dead_again_it_is_the_same_letter_open_again(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    (letter,) = await dead.listed()
    await dead.redrive(ids=[letter["id"]])
    _, second = dead.records()
    for _ in range(2):  # the relay may tell it twice
        await dead.bury(second, "invalid", "no", at=FAILED_AT + timedelta(days=1))
    await dead.read()
    (again,) = await dead.listed()
    assert (again["id"], again["state"], again["code"]) == (letter["id"], "open", "invalid")
    assert (again["tries"], again["offset"]) == (6, second.offset)
    assert again["last_seen_at"] == "2026-03-03T12:30:00Z"
    history = [entry["action"] for entry in (await dead.whole(letter["id"]))["history"]]
    assert sorted(history) == ["dead_again", "redriven"]
    assert await dead.state_of("e1") == ("dead", "invalid: no")
    await dead.redrive(ids=[letter["id"]])
    await dead.bury(second, "invalid", "no", at=FAILED_AT + timedelta(days=1))  # a late copy
    await dead.read()
    assert [one["state"] for one in await dead.listed()] == ["redriven"]


async def test_a_conflict_never_enters(dead: Graveyard) -> None:
    await dead.accepted(stage_event("e1"))
    await dead.client.post("/v1/events", json=stage_event("e1", stage="b"))
    (letter,) = await dead.listed(code="conflict")
    assert (letter["topic"], letter["mended_by"]) == (None, "sender")
    for body in ({"ids": [letter["id"]]}, {"code": "conflict"}, {"deal_id": "D-e1"}):
        (told,) = (await dead.redrive(**body))["results"]
        assert (told["status"], told["code"]) == ("refused", "conflict")
        assert "the first one wins" in told["detail"]
    assert len(dead.records()) == 1
    assert (await dead.state_of("e1"))[0] == "conflict"


async def test_another_body_that_came_since_wins(dead: Graveyard) -> None:
    """Two letters of one id: whichever enters first."""
    (record,) = await dead.accepted(stage_event("e1"))
    headers = dict(record.headers) | {"ce_id": b"e9"}
    for offset, stage in ((70, "a"), (71, "b")):
        value = json.dumps({"deal_id": "D-e9", "stage_id": stage}).encode()
        new = replace(record, headers=tuple(headers.items()), value=value, offset=offset)
        await dead.bury(new, at=FAILED_AT + timedelta(hours=offset))
    await dead.read()
    told = await dead.redrive(code="bug")
    assert [(one["status"], one["code"]) for one in told["results"]] == [
        ("redriven", None),
        ("refused", "conflict"),
    ]


async def test_what_lies_elsewhere_is_told_with_what_mends_it(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    for offset, topic in enumerate((DEALS, ALERT_EVENTS)):
        await dead.bury(replace(record, topic=topic, offset=offset), "undecodable", group="alerts")
    await dead.bury(replace(record, value=b"{", offset=7), "undecodable")
    await dead.read()
    results = (await dead.redrive(code="undecodable"))["results"]
    told = {(one["status"], one["code"], one["mended_by"]) for one in results}
    assert told == {
        ("refused", "not_redrivable", "re-evaluation"),
        ("refused", "not_redrivable", "nothing"),
        ("refused", "invalid_json", "sender"),
    }
    assert len(dead.records()) == 1
    assert {one["state"] for one in await dead.listed()} == {"open"}


async def test_headers_that_name_another_tenant_open_no_door(dead: Graveyard) -> None:
    """The letter's owner decides, whatever a record says when it is read again."""
    await buried(dead, stage_event("e1"))
    other = dead.tenant + "-other"
    await dead.new_tenant(other)
    connection = await asyncpg.connect(dead.url)
    await connection.execute(
        """UPDATE ingest.dead_letters SET header_values[array_position(header_names, 'ce_tenantid')]
        = $2 WHERE tenant_id = $1""",
        dead.tenant,
        other.encode(),
    )
    await connection.close()
    (told,) = (await dead.redrive(code="bug"))["results"]
    assert (told["status"], told["code"]) == ("refused", "foreign_tenant")
    assert len(dead.records()) == 1


async def test_the_operator_redrives_what_had_no_tenant_yet(dead: Graveyard) -> None:
    (record,) = await dead.accepted(stage_event("e1"))
    late = dead.tenant + "-late"
    headers = dict(record.headers) | {"ce_tenantid": late.encode()}
    await dead.bury(replace(record, headers=tuple(headers.items())), "unknown_tenant")
    await dead.read()
    assert await dead.listed() == []
    (letter,) = await dead.listed(dead.operator, code="unknown_tenant", event_id="e1", limit=1)
    path, body = "/v1/dead-letters/redrive", {"ids": [letter["id"]]}
    (early,) = (await dead.operator.post(path, json=body)).json()["results"]
    assert (early["status"], early["code"]) == ("refused", "unknown_tenant")
    theirs = await dead.new_tenant(late)
    (told,) = (await dead.operator.post(path, json=body)).json()["results"]
    assert told["status"] == "redriven"
    assert envelope_of(dead.records()[-1]).tenant_id == late
    assert (await theirs.get("/v1/events/e1")).json()["state"] == "published"


async def test_a_log_that_is_away_leaves_every_letter_open(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"), stage_event("e2"))
    before = await everything(dead)
    dead.log.fail_appends = [LogUnavailable("away")]
    answer = await dead.client.post("/v1/dead-letters/redrive", json={"code": "bug"})
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert answer.headers["retry-after"]
    assert await everything(dead) == before
    assert (await dead.redrive(code="bug"))["redriven"] == 2


async def test_what_the_log_refuses_for_good_costs_no_neighbour(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"), stage_event("e2"))
    dead.log.fail_appends = [RecordTooLarge("of both"), RecordTooLarge("of one")]
    told = await dead.redrive(code="bug")
    assert sorted((one["status"], one["code"] or "") for one in told["results"]) == [
        ("redriven", ""),
        ("refused", "refused_by_log"),
    ]
    assert sorted(one["state"] for one in await dead.listed()) == ["open", "redriven"]


async def test_a_kind_with_more_letters_than_a_call_takes_goes_on_behind_the_last(
    dead: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.entrypoints.redriving.MOST", 2)
    await buried(dead, *(stage_event(f"e{n}") for n in range(3)))
    first = await dead.redrive(code="bug")
    assert (first["redriven"], len(dead.records())) == (2, 5)
    rest = await dead.redrive(code="bug", after=first["next_after"])
    assert (rest["redriven"], rest["next_after"]) == (1, None)


async def test_one_redrive_of_a_tenant_at_a_time(dead: Graveyard) -> None:
    connection = await asyncpg.connect(dead.url)
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('ingest.redrive ' || $1, 0))",
            dead.tenant,
        )
        busy = await dead.client.post("/v1/dead-letters/redrive", json={"code": "bug"})
        assert (busy.status_code, busy.json()["code"]) == (429, "redrive_running")
        told = ("retry-after", "ratelimit-policy", "ratelimit")
        assert [busy.headers[n] for n in told] == ["1", '"redrives";q=1', '"redrives";r=0']
    await connection.close()
    assert (await dead.redrive(code="bug"))["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"code": "bug", "deal_id": "D"}, {"ids": []}, {"ids": ["x"]}, {"code": ""},
        {"ids": [str(uuid.uuid4())], "after": str(uuid.uuid4())}, {"code": "bug", "force": True},
        {"ids": [str(uuid.uuid4()) for _ in range(1_001)]}, {"code": "bug", "dry_run": "yes"},
    ],
)  # fmt: skip
async def test_a_command_that_is_not_clear_is_refused(dead: Graveyard, body: Any) -> None:
    answer = await dead.client.post("/v1/dead-letters/redrive", json=body)
    assert answer.status_code == 422, answer.text


async def test_dismissed_letters_stay_closed_and_say_why(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    await dead.client.post("/v1/events", json=stage_event("e1", stage="b"))
    ids = [letter["id"] for letter in await dead.listed()]
    missing = str(uuid.uuid4())
    body = {"ids": [*ids, missing], "reason": "settled by hand"}
    path, key = "/v1/dead-letters/dismiss", {"Idempotency-Key": "d"}
    told = await dead.client.post(path, json=body, headers=key)
    assert told.json() == {"dismissed": 2, "skipped": [missing]}
    assert (await dead.client.post(path, json=body, headers=key)).json() == told.json()
    assert (await dead.client.post(path, json=body)).json()["dismissed"] == 0
    (entry,) = (await dead.whole(ids[0]))["history"]
    assert (entry["action"], entry["detail"]) == ("dismissed", "settled by hand")
    results = (await dead.redrive(ids=ids))["results"]
    assert {(one["status"], one["code"]) for one in results} == {("refused", "dismissed")}
    assert len(dead.records()) == 1
    assert (await dead.state_of("e1"))[0] == "dead", "the conflict is settled, the event is not"


async def test_what_was_done_is_in_the_audit_trail(dead: Graveyard) -> None:
    await buried(dead, stage_event("e1"))
    (letter,) = await dead.listed()
    await dead.redrive(deal_id="D-e1")
    connection = await asyncpg.connect(dead.url)
    (row,) = await connection.fetch(
        """SELECT actor, object, after FROM ingest.audit
        WHERE tenant_id = $1 AND action = 'redrive'""",
        dead.tenant,
    )
    await connection.close()
    assert row["actor"].startswith("key:")
    assert json.loads(row["after"]) == {
        "asked": {"deal_id": "D-e1", "dry_run": False},
        "redriven": [letter["id"]],
    }
