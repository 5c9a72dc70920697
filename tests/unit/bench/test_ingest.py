"""The parts of ingest's bench that a wrong figure could come from."""

import asyncio
from itertools import islice
from typing import cast

import orjson
import pytest

from libs.common.contracts.catalogue import parse
from tests.bench.ingest import table
from tests.bench.ingest.answering import Inbox, header, status_of
from tests.bench.ingest.client import Outcome, Task, accepted, run
from tests.bench.ingest.echo import Echo
from tests.bench.ingest.requests import BATCH, stock, templates
from tests.bench.ingest.rounds import Measured
from tests.bench.ingest.servers import BARE, ECHO, KAFKA, Server

ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\nRetry-After: 3\r\n\r\nhello"


def test_a_message_is_taken_once_it_is_there_whole() -> None:
    inbox = Inbox()
    for byte in ANSWER[:-1]:
        inbox.feed(bytes([byte]))
        assert inbox.take() is None
    inbox.feed(ANSWER[-1:] + ANSWER)
    taken = inbox.take()
    assert taken == inbox.take() == (ANSWER[:-5], b"hello")
    assert inbox.take() is None


def test_the_status_and_headers_of_an_answer_are_read() -> None:
    head = ANSWER[:-5]
    assert status_of(head) == 202
    assert header(head, b"retry-after:") == b"3"
    assert header(head, b"host:") is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"accepted":498,"duplicates":2}', 498),
        (b'{"accepted":7}', 7),
        (b"{}", 500),
    ],
)
def test_accepted_events_are_counted_as_the_answer_says(body: bytes, found: int) -> None:
    assert accepted(body, 500) == found


@pytest.mark.parametrize("size", [1, BATCH])
def test_requests_are_whole_and_repeat_no_event(size: int) -> None:
    made = templates("/v1/events", size, {"Authorization": "Bearer x"})
    inbox, seen = Inbox(), set[str]()
    for content, events in islice(stock(made, 1), 2 * len(made) + 1):
        inbox.feed(content)
        taken = inbox.take()
        assert taken is not None
        assert header(taken[0], b"authorization:") == b"Bearer x"
        told = orjson.loads(taken[1])
        batch = told if isinstance(told, list) else [told]
        assert len(batch) == events == size
        seen |= {event["id"] for event in batch}
        for event in batch[:3]:
            assert parse(event["type"], event["data"], strict=True) is not None
    assert len(seen) == (2 * len(made) + 1) * size


async def test_the_client_counts_what_a_server_accepted() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        told = await run(Task(port, "/", 1, 1, 0.2, 0.05, connections=4))
    finally:
        server.close()
        await server.wait_closed()
    assert 0 < told.requests == told.events < told.accepted
    assert told.refused == {}
    assert told.p99_ms >= told.p50_ms > 0


def measured() -> Measured:
    found = Measured()
    rates = {
        ECHO: (20_000, 400_000), BARE: (4_000, 100_000), KAFKA: (2_000, 40_000),
    }  # fmt: skip
    for name, (single, batches) in rates.items():
        server = Server(name, 1, 1, log_url="kafka://" if name == KAFKA else "")
        for factor in (1, 2, 3):
            for size, rate in ((1, single), (BATCH, batches)):
                events = rate * (factor if name == KAFKA else 1)
                told = Outcome(1.0, events // size, events, events, p50_ms=1.0, p99_ms=2.0)
                found.note(server, size, told, events * 1e-4)
    found.kept[KAFKA] = found.accepted[KAFKA]
    return found


def test_ratios_are_taken_within_a_round_and_judged_by_their_median() -> None:
    found = table.figures(measured(), 1.0)
    kafka = found["servers"][KAFKA]
    ratio = {"min": 0.5, "median": 1.0, "max": 1.5}
    assert kafka["1"]["of_bare"] == {**ratio, "target": 0.6, "reached": True}
    assert kafka[str(BATCH)]["of_bare"]["median"] == 0.8
    assert found["batches_to_single"][KAFKA]["median"] == 20.0
    assert "of_bare" not in found["servers"][ECHO]["1"]
    assert kafka["1"]["cpu_us_per_event"] == 100.0


def test_every_row_of_the_table_has_all_columns() -> None:
    found = table.figures(measured(), 1.0)
    rows = list(table.rows(found))
    assert {len(row) for row in rows} == {len(table.HEAD)}
    assert len(rows) == 3 * 2 + 1
    assert "312,000" not in table.setting(found)
    assert "252,000" in table.setting(found)


class Refusing(asyncio.Protocol):
    """Accepts every other request."""

    turn = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._inbox = cast(asyncio.Transport, transport), Inbox()

    def data_received(self, data: bytes) -> None:
        self._inbox.feed(data)
        while self._inbox.take():
            Refusing.turn += 1
            status = b"202 OK" if Refusing.turn % 2 else b"503 Busy\r\nRetry-After: 0.01"
            self._transport.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n{}" % status)


async def test_what_was_refused_for_now_is_sent_again_and_counts_once() -> None:
    server = await asyncio.get_running_loop().create_server(Refusing, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        told = await run(Task(port, "/", 1, 1, 0.3, 0.05, connections=3))
    finally:
        server.close()
        await server.wait_closed()
    assert told.again > 0
    assert told.refused == {}
    assert told.again + told.accepted == Refusing.turn
