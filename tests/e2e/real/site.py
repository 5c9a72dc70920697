"""A standalone Headway without the demo, and its tenants, used as any client would."""

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from tests.e2e.processes.stack import until
from tests.e2e.standalone.headway import Headway

_VISITS = """SELECT deal_id, stage_id, class, entered_at, left_at, exit, next_stage_id
    FROM funnel_api.visits_v1 WHERE known_to = 'infinity' ORDER BY deal_id, n"""
READERS = 4
PAUSE = 0.3
"""Seconds between looks: each look takes processor time from what is waited for."""
PUT_OFF = 60
"""Seconds for which a busy process may answer 503."""
Answer = dict[str, Any]


@dataclass
class Tenant:
    """One tenant with its admin key."""

    headway: Headway
    tenant_id: str
    http: httpx.Client

    def define(self, pipeline_id: str, pipeline: Mapping[str, Any]) -> None:
        made = self.http.put(f"/v1/pipelines/{pipeline_id}", json=pipeline)
        assert made.status_code == 201, made.text

    def import_(self, events: Iterable[Mapping[str, Any]], seconds: float = 300) -> Answer:
        """Upload, wait until every row is worked off; answers the counts."""
        body = gzip.compress(b"\n".join(map(orjson.dumps, events)), compresslevel=1)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        begun = self.http.post(
            "/v1/imports", params={"recorded": "occurred"}, content=body, headers=headers
        )
        assert begun.status_code == 202, begun.text
        path = f"/v1/imports/{begun.json()['import_id']}"
        until("imported", lambda: self.get(path)["state"] != "running", seconds, PAUSE)
        found = self.get(path)
        assert (found["state"], found["rejected"]) == ("done", 0), found
        return found

    def fold(self, seconds: float = 300) -> None:
        until("folded", lambda: self.get("/v1/projection")["caught_up"], seconds, PAUSE)

    def rebuild(self, seconds: float = 300) -> Answer:
        begun = self.http.post("/v1/projection/rebuilds", json={})
        assert begun.status_code == 202, begun.text
        path = f"/v1/projection/rebuilds/{begun.json()['rebuild_id']}"
        until("rebuilt", lambda: self.get(path)["state"] != "building", seconds, PAUSE)
        return self.get(path)

    def get(self, path: str, **params: Any) -> Answer:
        """A busy process may put a reader off (503, `Retry-After`), but not for long."""
        answers = list[httpx.Response]()

        def answered() -> bool:
            answers.append(self.http.get(path, params=params))
            return answers[-1].status_code != 503

        until(f"{path} answered", answered, PUT_OFF, PAUSE)
        assert answers[-1].status_code == 200, f"{path}: {answers[-1].text}"
        found: Answer = answers[-1].json()
        return found

    def items(self, path: str, **params: Any) -> list[Answer]:
        """Every item of a list, page by page."""
        found: list[Answer] = []
        cursor: Answer = {}
        while True:
            page = self.get(path, **params, **cursor, limit=500)
            found += page["items"]
            if not page["has_more"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def stages(self, deals: Iterable[str], **params: Any) -> dict[str, list[Answer]]:
        """`/v1/deals/{id}/stages` of many deals, a few at a time."""
        with ThreadPoolExecutor(READERS) as readers:
            wanted = list(deals)
            answers = readers.map(lambda d: self.get(f"/v1/deals/{d}/stages", **params), wanted)
            return {d: answer["visits"] for d, answer in zip(wanted, answers, strict=True)}

    def visits(self) -> dict[str, list[Mapping[str, Any]]]:
        """The published view of all visits, as known today, by deal."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for row in asyncio.run(self._view(_VISITS)):
            found.setdefault(row["deal_id"], []).append(row)
        return found

    async def _view(self, query: str) -> list[Mapping[str, Any]]:
        connection = await asyncpg.connect(self.headway.postgres.url())
        try:
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('app.tenant', $1, true)", self.tenant_id
                )
                return [dict(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()


@dataclass
class Site:
    """The running process and the clients made of it."""

    headway: Headway
    clients: list[httpx.Client] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, **settings: str) -> "Site":
        return cls.over(Headway(folder / "data", ("--no-demo",), dict(settings)))

    @classmethod
    def over(cls, headway: Headway) -> "Site":
        """Start it; whoever uses the site is told nothing of the shape."""
        try:
            headway.start()
        except BaseException:
            headway.clean_up()
            raise
        return cls(headway)

    def tenant(self, tenant_id: str, zone: str, currency: str, *, sandbox: bool = False) -> Tenant:
        """A new tenant, made with the operator's key."""
        key = (self.headway.data_dir / "operator-key").read_text().strip()
        body = {"id": tenant_id, "timezone": zone, "currency": currency, "sandbox": sandbox}
        with self._client(key) as operator:
            made = operator.post("/v1/tenants", json=body)
        assert made.status_code == 201, made.text
        self.clients.append(self._client(made.json()["api_key"]))
        return Tenant(self.headway, tenant_id, self.clients[-1])

    def _client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.headway.summary["url"], headers=headers, timeout=60, trust_env=False
        )

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.headway.clean_up()
