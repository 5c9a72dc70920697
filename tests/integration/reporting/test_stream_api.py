"""`GET /v1/stream` as clients see it, over a server of its own and the log in memory."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from libs.common.contracts.topics import ALERT_EVENTS, DEALS
from libs.common.eventlog.port import LogUnavailable, Partition
from services.reporting.app.stream_inbox import MOST_EVENTS
from services.reporting.app.stream_limits import Limits
from services.reporting.domain.stream_position import Place, Position
from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.listening import Station, on_air, until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def station(reporting: Reporting) -> AsyncIterator[Station]:
    """A tenant of its own for each test, `mine`, beside another."""
    await reporting.connection.execute(
        "DELETE FROM ingest.imports; DELETE FROM funnel.watermarks; DELETE FROM ingest.api_keys;"
        "DELETE FROM ingest.tenants; DELETE FROM funnel.generations"
    )
    for tenant in ("mine", "theirs"):
        await reporting.tenant(tenant)
    async with on_air(reporting) as station:
        yield station


async def test_a_change_is_told_as_it_is_published(station: Station) -> None:
    await station.tell("mine", "D-before")
    async with station.listen("mine") as listener:
        opening = await listener.next()
        await station.tell("mine", "D-1")
        event = await listener.event()
    assert listener.response.headers["content-type"].startswith("text/event-stream")
    assert listener.response.headers["cache-control"] == "no-store"
    assert listener.response.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in listener.response.headers
    assert (opening.comment, event.event) == ("3000", "deal.state_changed")
    assert (event.subject, event.json["data"]) == ("D-1", {"version": 1})
    assert event.id not in (None, opening.id)


async def test_tenants_are_walls(station: Station) -> None:
    async with station.listen("mine") as mine, station.listen("theirs") as theirs:
        await station.tell("theirs", "D-theirs")
        await station.tell("mine", "D-forged", key=b"theirs:D-forged")
        await station.tell("mine", "D-mine")
        assert await mine.subjects(1) == ["D-mine"]
        assert await theirs.subjects(1) == ["D-theirs"]
        resumed = station.listen("theirs", since=mine.last_id)
        async with resumed as foreign:
            assert foreign.response.status_code == 422
            assert foreign.response.json()["code"] == "invalid_position"


async def test_watermarks_and_backfill_are_not_streamed(station: Station) -> None:
    async with station.listen("mine") as listener:
        await station.tell("mine", "0", type_="deal.watermark")
        await station.tell("mine", "D-old", origin="backfill")
        await station.tell("mine", "D-again", origin="reconcile")
        await station.tell("mine", "D-broken", value=b"{")
        await station.tell("mine", "D-live")
        assert await listener.subjects(1) == ["D-live"]


async def test_topics_need_their_scopes(station: Station) -> None:
    deals = await station.reporting.key("mine", "deals:read", "metrics:read")
    alerts = await station.reporting.key("mine", "alerts:read")
    for key, topics in ((deals, "alerts"), (deals, "deals,alerts"), (alerts, "deals")):
        refusal = await station.refusal("mine", topics, key=key)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "scope_missing")
    assert (await station.refusal("mine", key="hw_none")).status_code == 401
    async with station.listen("mine", "alerts", key=alerts) as listener:
        await station.tell("mine", "D-1")
        await station.tell("mine", "D-2", topic=ALERT_EVENTS)
        event = await listener.event()
    assert (event.event, event.subject) == ("alert.fired", "D-2")


@pytest.mark.parametrize("topics", ["", "leads", "deals,deals", "deals,leads", "deals,"])
async def test_what_is_no_list_of_topics_is_refused(station: Station, topics: str) -> None:
    refusal = await station.refusal("mine", topics)
    assert refusal.status_code == 422
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["errors"][0]["parameter"] == "topics"


async def test_unknown_parameters_and_no_topics_are_refused(station: Station) -> None:
    for query in ("", "?topics=deals&last_event_id=x", "?topics=deals&topics=alerts"):
        answer = await station.reporting.ask("mine", f"/v1/stream{query}")
        assert answer.status_code == 422, query


@pytest.mark.parametrize("given", ["rubbish", "AAAA", "x" * 20_000, "\xff\xfe"])
async def test_an_id_that_is_not_ours_is_refused(station: Station, given: str) -> None:
    refusal = await station.refusal("mine", since=given)
    assert (refusal.status_code, refusal.json()["code"]) == (422, "invalid_position")


async def test_a_client_resumes_without_gap_or_repeat(station: Station) -> None:
    async with station.listen("mine", "deals,alerts") as listener:
        await station.tell("mine", *(f"D-{n}" for n in range(20)))
        first = await listener.subjects(7)
    missed = [f"D-{n}" for n in range(20, 40)]
    await station.tell("mine", *missed)
    await station.tell("theirs", *missed)
    await station.tell("mine", "A-1", topic=ALERT_EVENTS)
    async with station.listen("mine", "alerts,deals", since=listener.last_id) as again:
        rest = await again.subjects(34)
        await station.tell("mine", "D-last")
        assert await again.subjects(1) == ["D-last"]
    assert sorted([*first, *rest]) == sorted([*(f"D-{n}" for n in range(40)), "A-1"])
    assert {told.event for told in again.told if told.event} == {
        "deal.state_changed",
        "alert.fired",
    }


async def test_what_the_log_delivers_twice_is_told_once(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.reporting.app.stream_replay.BATCH", 1)
    async with station.listen("mine") as listener:
        await station.tell("mine", "D-1", "D-2", partition=0)
        assert await listener.subjects(2) == ["D-1", "D-2"]
        station.log.repeat_next = True  # met by the reader of what was missed
        async with station.listen("mine", since=listener.told[0].id) as again:
            assert await again.subjects(2) == ["D-1", "D-2"]
            station.log.repeat_next = True  # met by the tail
            await station.tell("mine", "D-3", partition=0)
            await until(lambda: not station.log.repeat_next)
            await station.tell("mine", "D-4", partition=0)
            assert await again.subjects(2) == ["D-3", "D-4"]
        assert await listener.subjects(2) == ["D-3", "D-4"]


async def test_an_empty_last_event_id_is_none(station: Station) -> None:
    async with station.listen("mine", since="") as listener:
        await station.tell("mine", "D-1")
        assert await listener.subjects(1) == ["D-1"]


async def test_a_position_that_is_gone_means_resync_and_on_from_now(station: Station) -> None:
    async with station.listen("mine") as listener:
        await station.tell("mine", "D-0", partition=0)
        await listener.event()
    await station.tell("mine", "D-1", "D-2", partition=0)
    station.log.trim(Partition(DEALS, 0), 2)
    async with station.listen("mine", since=listener.last_id) as again:
        resync = await again.event()
        assert (resync.event, resync.json) == ("resync", {"reason": "history_gone"})
        await station.tell("mine", "D-3")
        assert await again.subjects(1) == ["D-3"]
    async with station.listen("mine", since=resync.id) as healed:
        assert await healed.subjects(1) == ["D-3"]


async def test_a_topic_made_anew_means_resync_for_those_who_listen(station: Station) -> None:
    async with station.listen("mine") as listener:
        await station.tell("mine", "D-1")
        await listener.event()
        station.log.recreate(DEALS)
        resync = await listener.event()
        assert (resync.event, resync.json) == ("resync", {"reason": "history_gone"})
        await station.tell("mine", "D-2")
        assert await listener.subjects(1) == ["D-2"]


async def test_quiet_times_have_heartbeats_that_move_the_position(station: Station) -> None:
    async with station.listen("mine") as listener:
        opening = await listener.next()
        await station.tell("theirs", "D-1")
        async with station.listen("theirs") as theirs:
            await theirs.next()
        station.pass_by(15)
        heartbeat = await listener.next()
    assert heartbeat.comment == "heartbeat"
    assert heartbeat.event is None
    assert heartbeat.id != opening.id


async def test_a_slow_reader_is_told_to_resync(station: Station) -> None:
    """It reads nothing while more comes than is kept for it; the others lose nothing."""
    large = b'{"text":"' + b"x" * 20_000 + b'"}'
    async with station.listen("mine") as slow:
        await slow.next()
        for n in range(0, 3 * MOST_EVENTS, 500):
            await station.tell("mine", *(f"D-{n + i}" for i in range(500)), value=large)
        resync = await slow.until(lambda told: told.event == "resync")
        assert resync.json == {"reason": "slow_reader"}
        await station.tell("mine", "D-after")
        await slow.until(lambda told: told.event != "resync" and told.subject == "D-after")
    last = max(n for n, told in enumerate(slow.told) if told.event == "resync")
    after = [told.subject for told in slow.told[last + 1 :]]
    async with station.listen("mine", since=slow.told[last].id) as again:
        assert sorted(await again.subjects(len(after))) == sorted(after), "what was lost stays lost"


async def test_a_client_that_takes_nothing_is_cut_off(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.reporting.entrypoints.stream_answer.TAKEN_WITHIN", 0.2)
    large = b'{"text":"' + b"x" * 100_000 + b'"}'
    async with station.listen("mine") as stuck:
        await stuck.next()
        await station.until_open(1)
        telling = asyncio.create_task(tell_on(station, large))  # until the sockets are full
        await station.until_open(0)
        telling.cancel()


async def tell_on(station: Station, value: bytes) -> None:
    while True:
        await station.tell("mine", *(f"D-{n}" for n in range(20)), value=value)
        await asyncio.sleep(0.01)


async def test_what_another_process_has_told_already_is_not_told_again(station: Station) -> None:
    """Its tail was further on than ours when the client came over."""
    async with station.listen("mine") as listener:
        await listener.next()
        station.log.fail_reads += [LogUnavailable("gone")] * 3  # ours stands still for a while
        await until(lambda: len(station.log.fail_reads) < 3)
        await station.tell("mine", "D-1", "D-2")
        now = await station.log.ends(DEALS)
        place = Place(await station.log.topic_id(DEALS), tuple(now[p].end for p in sorted(now)))
        ahead = station.state.streams.means.positions.seal("mine", Position({"deals": place}, 0))
        async with station.listen("mine", since=ahead) as further:
            assert await listener.subjects(2) == ["D-1", "D-2"]
            await station.tell("mine", "D-3")
            assert await further.subjects(1) == ["D-3"]


async def finish_import(station: Station, *, dry_run: bool = False) -> None:
    await station.reporting.connection.execute(
        """INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded, dry_run,
            encoding, path, bytes, actor, started_at, finished_at)
        VALUES ('mine', $1, 'done', 'backfill', 'now', $2, '', '', 0, 'test', $3, $3)""",
        uuid4(), dry_run, station.reporting.clock.now(),
    )  # fmt: skip


async def watermark(station: Station) -> None:
    await station.reporting.connection.execute(
        """INSERT INTO funnel.watermarks (name, watermark, updated_at) VALUES ('deals', $1, $1)
        ON CONFLICT (name) DO UPDATE SET watermark = excluded.watermark""",
        station.reporting.clock.now(),
    )


async def test_an_import_that_ended_is_told_once_after_its_last_record(station: Station) -> None:
    async with station.listen("mine") as listener, station.listen("theirs") as theirs:
        await listener.next()
        await finish_import(station)
        station.pass_by(16)
        assert (await listener.next()).comment == "heartbeat", "records may still come"
        await watermark(station)
        station.pass_by(6)
        resync = await listener.event()
        assert (resync.event, resync.json) == ("resync", {"reason": "import"})
        await finish_import(station, dry_run=True)
        await watermark(station)
        for _ in range(3):
            station.pass_by(16)
            assert (await listener.next()).comment == "heartbeat"
        await station.tell("theirs", "D-1")
        assert await theirs.subjects(1) == ["D-1"]


async def test_an_import_since_the_position_is_told_on_resume(station: Station) -> None:
    await watermark(station)
    async with station.listen("mine") as listener:
        await listener.next()
    await finish_import(station)
    await watermark(station)
    station.pass_by(6)
    async with station.listen("mine", since=listener.last_id) as again:
        resync = await again.event()
        assert (resync.event, resync.json) == ("resync", {"reason": "import"})
    async with station.listen("mine", since=again.last_id) as third:
        await station.tell("mine", "D-1")
        assert await third.subjects(1) == ["D-1"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ingest.api_keys SET revoked_at = $2 WHERE key_id = $1",
        "UPDATE ingest.api_keys SET expires_at = $2 WHERE key_id = $1",
        "UPDATE ingest.api_keys SET scopes = '{metrics:read}', created_at = $2 WHERE key_id = $1",
    ],
)
async def test_a_stream_ends_within_30_seconds_after_its_key(station: Station, change: str) -> None:
    key = await station.reporting.key("mine", "deals:read")
    async with station.listen("mine", key=key) as listener:
        await listener.next()
        now = station.reporting.clock.now()
        await station.reporting.connection.execute(change, key.split("_")[1], now)
        station.pass_by(25)
        told = await listener.rest()
    assert (told[-1].comment or "").startswith("the credential is no longer good")


async def test_a_stream_ends_after_a_while_and_is_resumed(station: Station) -> None:
    async with station.listen("mine") as listener:
        await listener.next()
        station.pass_by(601)
        told = await listener.rest()
    assert "come back" in (told[-1].comment or "")
    await station.tell("mine", "D-1")
    async with station.listen("mine", since=listener.last_id) as again:
        assert await again.subjects(1) == ["D-1"]


async def test_streams_end_when_the_server_stops(station: Station) -> None:
    async with station.listen("mine") as listener:
        await listener.next()
        async with asyncio.timeout(5):  # far below the grace for requests that do not end
            _, told = await asyncio.gather(station.port.close(), listener.rest())
    assert (told[-1].comment or "").startswith("the server stops")


async def test_streams_are_limited_by_tenant_and_in_all(station: Station) -> None:
    station.limit(Limits(in_all=3, per_tenant=2))
    async with station.listen("mine"), station.listen("theirs"):
        async with station.listen("mine"):
            many = await station.refusal("mine")
            assert (many.status_code, many.json()["code"]) == (429, "too_many_streams")
            assert many.headers["ratelimit-policy"] == '"streams";q=2'
            assert many.json()["violated-policies"] == ["streams"]
            assert many.headers["retry-after"] == "10"
            full = await station.refusal("theirs")
            assert (full.status_code, full.headers["retry-after"]) == (503, "10")
        await station.until_open(2)
        async with station.listen("mine") as again:
            assert again.response.status_code == 200


async def test_a_log_that_is_away_is_waited_for(station: Station) -> None:
    async with station.listen("mine") as listener:
        await listener.next()
        station.log.fail_reads += [LogUnavailable("gone")] * 3
        await station.tell("mine", "D-1")
        await until(lambda: not station.log.fail_reads)
        await station.tell("mine", "D-2")
        assert await listener.subjects(2) == ["D-1", "D-2"]


async def test_a_log_that_goes_away_in_a_resume_ends_the_stream_with_nothing_lost(
    station: Station,
) -> None:
    async with station.listen("mine") as listener:
        await listener.next()
        await station.tell("mine", "D-0")
        await listener.event()
        await station.tell("mine", "D-1")
        assert await listener.subjects(1) == ["D-1"]
        since = listener.told[-2].id
        station.log.fail_reads += [LogUnavailable("gone")] * 2  # the tail may meet one of them
        async with station.listen("mine", since=since) as again:
            told = await again.rest()
        assert (told[-1].comment or "").startswith("the log does not answer")
    await until(lambda: not station.log.fail_reads)
    async with station.listen("mine", since=again.last_id) as healed:
        assert await healed.subjects(1) == ["D-1"]


async def test_one_reader_serves_all_streams_and_ends_after_the_last(station: Station) -> None:
    async with station.listen("mine"), station.listen("mine"), station.listen("theirs"):
        await until(lambda: len(station.readers) == 1)
        await station.tell("mine", "D-0")
    await station.until_open(0)
    assert len(station.readers) == 1
    station.pass_by(61)
    await until(lambda: not station.readers)
    async with station.listen("mine") as listener:
        await station.tell("mine", "D-1")
        assert await listener.subjects(1) == ["D-1"]
