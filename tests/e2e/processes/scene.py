"""The scene of these tests: a database with two tenants, cloned for each run, and their streams."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import asyncpg
import httpx
from sqlalchemy import make_url

from libs.common.clock import SystemClock
from libs.common.contracts.topics import CRM_EVENTS, DEALS
from libs.common.db.urls import with_database
from libs.common.ids import derived_key
from services.ingest.app.bootstrap_keys import ensure_operator_key
from tests.e2e.processes import outcome, topics
from tests.e2e.processes.crm_sender import DEFINITION, connection_of
from tests.e2e.processes.outcome import Rows, Since
from tests.e2e.processes.sender import Sender, client
from tests.e2e.processes.stack import SECRET, Process, Stack, until
from tests.e2e.processes.stream import PIPELINE, Event, stream

AT = {"pipeline_id": "b2b", "valid_at": "2024-06-01T00:00:00Z", "group_by": "region"}
EVERY_STATUS = ["open", "won", "lost", "deleted", "merged"]
_CHUNK = 100


@dataclass(frozen=True)
class Made:
    """What a funnel has made of the log: every row that follows from events, and REST's answers."""

    rows: Mapping[str, Rows]
    numbers: Mapping[str, Any]
    stays: Mapping[str, Any]


@dataclass
class Scene:
    """Two tenants with the same ids for different deals; `keys` are their admin keys."""

    stack: Stack
    server: str
    """The broker, as `host:port`."""
    postgres: str
    """Any database of the PostgreSQL server."""
    deals: Mapping[str, int] = field(default_factory=lambda: {"acme": 240, "umbra": 40})
    keys: dict[str, str] = field(default_factory=dict)

    def set(self) -> "Scene":
        """Migrate, create the tenants and their pipelines, and stop what that took."""
        self.stack.migrate()
        pepper = derived_key(SECRET.encode(), "api-keys")
        url = self.stack.database_url
        operator = asyncio.run(ensure_operator_key(url, pepper, SystemClock()))
        assert operator is not None
        ingest = self.stack.start("ingest", "api").ready()
        funnel = self.stack.start("funnel", "api").ready()
        with client(ingest.url, operator) as http:
            for tenant in self.deals:
                made = http.post("/v1/tenants", json={"id": tenant, "currency": "EUR"})
                assert made.status_code == 201, made.text
                self.keys[tenant] = made.json()["api_key"]
        for tenant, key in self.keys.items():
            with client(ingest.url, key) as http:
                crm = f"/v1/connections/{connection_of(tenant)}"
                assert http.put(crm, json=DEFINITION).status_code == 201
            with client(funnel.url, key) as http:
                assert http.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
        ingest.stop()
        funnel.stop()
        return self

    def clone(self, **settings: str) -> Stack:
        """The stack on a database of its own that knows the tenants and has folded nothing."""
        template = make_url(self.stack.database_url).database
        return self.stack.on(asyncio.run(create(self.postgres, template)), **settings)

    def streams(self) -> Mapping[str, Sequence[Event]]:
        return {tenant: stream(n, deals) for n, (tenant, deals) in enumerate(self.deals.items())}

    def send(self, ingest: Process) -> Sender:
        """Both tenants' streams, turn by turn, each batch until it is accepted."""
        sender = Sender()
        for _ in self.sending(ingest, sender):
            pass
        return sender

    def sending(self, ingest: Process, sender: Sender) -> Iterator[None]:
        """The same, one batch of each tenant at a time, for who does something in between."""
        for turn in zip_longest(*(self._batches(tenant) for tenant in self.deals)):
            for tenant, batch in zip(self.deals, turn, strict=True):
                if batch:
                    with client(ingest.url, self.keys[tenant]) as http:
                        sender.deliver(http, batch)
            yield

    def _batches(self, tenant: str) -> Sequence[Sequence[Event]]:
        events = self.streams()[tenant]
        return [events[i : i + _CHUNK] for i in range(0, len(events), _CHUNK)]

    def distinct(self) -> int:
        """Events that differ: what all repetitions come down to."""
        return sum(len({event["id"] for event in told}) for told in self.streams().values())

    def empty_log(self) -> None:
        """Begin with new topics, so that no earlier test's records have to be read again."""
        asyncio.run(topics.delete_ours(self.server))

    def repeat_some(self) -> int:
        """Put every 17th record of the log into it once more; how many those were."""
        kept = asyncio.run(topics.read(self.server, CRM_EVENTS, {}))
        asyncio.run(topics.repeat(self.server, CRM_EVENTS, kept[::17]))
        return len(kept[::17])

    def settled(self, stack: Stack) -> bool:
        """Whether the log is folded and what follows from it is published."""
        return asyncio.run(outcome.settled(self.server, stack.database_url))

    def await_settled(self, stack: Stack, seconds: float = 90) -> None:
        until("everything is folded and published", lambda: self.settled(stack), seconds)

    def since(self) -> Since:
        return asyncio.run(outcome.now(self.server))

    def uninterrupted(self) -> Made:
        """What a funnel to which nothing happens makes of the log."""
        with self.clone() as stack:
            since = self.since()
            consumer = stack.start("funnel", "worker")
            self.await_settled(stack)
            consumer.stop()
            return self.made(stack, since)

    def made(self, stack: Stack, since: Since) -> Made:
        """What a run has made of the whole stream, once it has ended.

        That every event that was sent is there, once, and the records are judged on the way.
        """
        funnel, reporting = stack.start("funnel", "api"), stack.start("reporting", "api")
        assert self.faults(funnel.ready(), since) == []
        rows = self.rows(stack)
        for tenant, told in self.streams().items():
            kept = [row[1] for row in rows[tenant]["events"]]
            assert sorted(kept) == sorted({event["id"] for event in told})
        made = Made(rows, self.numbers(reporting.ready()), self.stays(funnel))
        funnel.kill()
        reporting.kill()
        return made

    def rows(self, stack: Stack) -> Mapping[str, Rows]:
        return asyncio.run(outcome.rows(stack.database_url, list(self.deals)))

    def numbers(self, reporting: Process) -> Mapping[str, Any]:
        """Each tenant's conversion by region, over REST."""
        found = {}
        for tenant, key in self.keys.items():
            with client(reporting.url, key) as http:
                answer = http.get("/v1/funnel/conversion", params=AT)
            assert answer.status_code == 200, answer.text
            found[tenant] = _without_tokens({n: answer.json()[n] for n in ("rows", "total")})
        return found

    def served(self, funnel: Process) -> Mapping[tuple[str, str], Any]:
        return served(funnel.url, self.keys)

    def stays(self, funnel: Process, tenant: str = "umbra") -> Mapping[str, Any]:
        """`/v1/deals/{id}/stages` of a tenant's deals as of one instant."""
        with client(funnel.url, self.keys[tenant]) as http:
            found = {}
            for number in range(self.deals[tenant]):
                answer = http.get(
                    f"/v1/deals/D-{number}/stages", params={"valid_at": AT["valid_at"]}
                )
                found[f"D-{number}"] = (answer.status_code, answer.json().get("visits"))
        assert any(visits for _, visits in found.values())
        return found

    def faults(self, funnel: Process, since: Since) -> list[str]:
        """What is wrong with the records that a run has published, against what is served."""
        records = topics.by_deal(asyncio.run(topics.read(self.server, DEALS, since.deals)))
        served = self.served(funnel)
        assert len(served) == sum(self.deals.values())
        found = [
            fault
            for (tenant, deal), state in served.items()
            for fault in outcome.judge(tenant, deal, records.get((tenant, deal), []), state)
        ]
        found += [f"{deal} has records and is not served" for deal in records.keys() - served]
        letters = asyncio.run(outcome.dead_letters(self.server, since))
        return found + [f"a dead letter: {letter.headers}" for letter in letters]


def served(url: str, keys: Mapping[str, str]) -> Mapping[tuple[str, str], Any]:
    """Every deal as REST shows it to these tenants' keys, by (tenant, deal)."""
    found = {}
    for tenant, key in keys.items():
        with client(url, key) as http:
            for deal in _pages(http, "/v1/deals", {"status": EVERY_STATUS, "limit": 200}):
                found[tenant, deal["deal_id"]] = deal
    return found


def _pages(http: httpx.Client, path: str, params: Mapping[str, Any]) -> Iterator[Any]:
    """Every item of a list."""
    cursor: dict[str, str] = {}
    while True:
        answer = http.get(path, params={**params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["items"]
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def _without_tokens(value: Any) -> Any:
    """Drill tokens name the instants of their answer, which differ between two runs."""
    if isinstance(value, dict):
        return {name: _without_tokens(held) for name, held in value.items() if name != "drill"}
    return [_without_tokens(held) for held in value] if isinstance(value, list) else value


async def create(server: str, template: str | None = None) -> str:
    """A new database, empty or a clone; its URL."""
    name = f"stack_{secrets.token_hex(6)}"
    clone = f' TEMPLATE "{template}"' if template else ""
    await execute(server, f'CREATE DATABASE "{name}"{clone}')
    return with_database(server, name)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
