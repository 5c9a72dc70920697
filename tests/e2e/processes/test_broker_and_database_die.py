"""The broker and the database die in mid-stream and come back: nothing that was acknowledged is
lost, and the funnel goes on in the same process to the same rows."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import asyncpg
import httpx
import pytest

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.kafka_broker import KafkaBroker
from tests.e2e.processes import topics
from tests.e2e.processes.conftest import World
from tests.e2e.processes.damage import takes_connections
from tests.e2e.processes.outcome import differences, overtaken
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.sender import Sender
from tests.e2e.processes.stack import Process, Stack, until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
Property = Callable[[str, object], None]
_TERMINATE = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@dataclass
class Run:
    """A run in mid-stream: some is sent and folded, the rest is `sending`."""

    scene: Scene
    stack: Stack
    ingest: Process
    consumer: Process
    sender: Sender
    sending: Iterator[None]

    def send_the_rest_meanwhile(self) -> threading.Thread:
        thread = threading.Thread(target=lambda: list(self.sending))
        thread.start()
        return thread


@pytest.fixture
def run(world: World) -> Iterator[Run]:
    """Before: the first half is sent. After: the outcome is held against a quiet run's."""
    scene = world.scene
    scene.empty_log()
    with scene.clone() as stack:
        since, sender = scene.since(), Sender()
        ingest = stack.start("ingest", "api").ready()
        consumer = stack.start("funnel", "worker").ready()
        sending = scene.sending(ingest, sender)
        list(islice(sending, 8))
        yield Run(scene, stack, ingest, consumer, sender, sending)
        assert next(sending, "sent") == "sent"
        until("nothing waits for the log", lambda: ingest.metric("headway_spool_events") == 0, 30)
        scene.await_settled(stack)
        ingest.ready()
        consumer.ready().stop()
        ingest.stop()
        made = scene.made(stack, since)
        records = asyncio.run(topics.read(scene.server, CRM_EVENTS, {}))
        assert overtaken(records, scene.streams()) == []
    assert sender.misbehaved() == []
    wanted = scene.uninterrupted()
    assert differences(made.rows, wanted.rows) == []
    assert (made.numbers, made.stays) == (wanted.numbers, wanted.stays)


def kill(broker: KafkaBroker) -> Callable[[], None]:
    broker.kill()
    return lambda: broker.start(240)


def pause(broker: KafkaBroker) -> Callable[[], None]:
    broker.pause()
    return broker.resume


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hurt", [kill, pause])
def test_the_broker_goes_away_and_comes_back(
    world: World,
    run: Run,
    hurt: Callable[[KafkaBroker], Callable[[], None]],
    record_property: Property,
) -> None:
    mend, accepted = hurt(world.broker), run.sender.accepted
    sending = run.send_the_rest_meanwhile()
    try:
        sending.join(120)
        waiting = until("events wait", lambda: run.ingest.metric("headway_spool_events"))
        assert waiting > (run.sender.accepted - accepted) / 2, "the broker was there"
        assert _is_ready(run.ingest)
    finally:
        mend()
    assert not sending.is_alive()
    assert run.sender.refused == []
    record_property("spooled", int(waiting))
    record_property("slowest answer (s)", f"{run.sender.slowest:.2f}")


def _is_ready(process: Process) -> bool:
    return httpx.get(f"{process.url}/readyz", trust_env=False, timeout=20).status_code == 200


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "kill -9"])
def test_the_database_goes_away_and_comes_back(
    world: World, run: Run, number: signal.Signals, record_property: Property
) -> None:
    world.kill_postgres(number)
    assert not takes_connections(world.postgres)
    sending = run.send_the_rest_meanwhile()
    until("the funnel notices", lambda: "batch_retried" in run.consumer.said()
          or "session_ended" in run.consumer.said())  # fmt: skip
    world.postgres.start()
    sending.join(120)
    assert not sending.is_alive()
    assert run.sender.codes <= {"database_unavailable"}
    record_property("refused", len(run.sender.refused))
    record_property("slowest answer (s)", f"{run.sender.slowest:.2f}")


@pytest.mark.timeout(300)
def test_every_connection_is_cut_again_and_again(run: Run, record_property: Property) -> None:
    cut = 0

    async def terminate() -> int:
        connection = await asyncpg.connect(run.stack.database_url)
        try:
            return int(await connection.fetchval(_TERMINATE))
        finally:
            await connection.close()

    for _ in run.sending:
        cut += asyncio.run(terminate())
    assert cut > 20
    record_property("cut", cut)
