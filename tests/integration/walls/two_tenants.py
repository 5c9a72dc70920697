"""Two tenants with the same ids and different secrets, behind every service's HTTP surface."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from libs.common.clock import SystemClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources, run_workers
from libs.common.settings import CommonSettings
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.standalone.composition import composed
from tests.integration.ingest.connecting import KEY, gap_of, signed

TENANTS = ("alpha", "beta")
STAGES = [{"id": id_, "class": class_} for id_, class_ in
          (("lead", "open"), ("offer", "open"), ("won", "won"), ("lost", "lost"))]  # fmt: skip
IDS: Mapping[str, tuple[str, ...]] = {
    "deal_id": ("D-1", "D-alpha"),
    "entity_id": tuple(f"{kind}-{own}" for own in ("1", "alpha") for kind in "AUTL"),
    "pipeline_id": ("P-1", "P-alpha"),
    "event_id": ("E-deal-D-1", "E-deal-D-alpha"),
    "rule_id": ("R-1", "R-alpha"),
    "connection_id": ("C-alpha",),
    "mapping_id": ("M-1", "M-alpha"),
}
"""What path parameters are called with: ids that both tenants have, and some of alpha's own."""
NUMBERS = {"pipeline_id": "P-1", "group_by": "region"}
PERIOD = {"from": "2026-01-01", "to": "2027-01-01"}
"""What aggregates are asked: their answers name the regions, and each tenant has one of its own."""
OF_ONE_INSTANT = ("/v1/funnel/snapshot", "/v1/metrics/stalled")
"""Those that take no period."""
COMMON = frozenset(id_ for ids in IDS.values() for id_ in ids if not id_.endswith("alpha"))


NOT_HERE = ("/v1/status", "/v1/stream")
"""Nobody's in particular; and what does not end, which has a test of its own."""


def _numbers(path: str) -> str:
    if not path.startswith(("/v1/funnel/", "/v1/metrics/")):
        return ""
    return "?" + urlencode(NUMBERS if path in OF_ONE_INSTANT else NUMBERS | PERIOD)


def secret_of(tenant: str) -> str:
    return f"secret-of-{tenant}"


def told_by(tenant: str) -> Iterator[dict[str, Any]]:
    """A tenant's story: each kind of thing under the common id and under one of its own."""
    secret = secret_of(tenant)
    for own in ("1", tenant):
        yield event(f"account-{own}", "account.upserted", account_id=f"A-{own}", name=secret)
        yield event(f"user-{own}", "user.upserted", user_id=f"U-{own}", name=secret)
        yield event(f"team-{own}", "team.upserted", team_id=f"T-{own}", name=secret)
        yield event(f"lead-{own}", "lead.created", lead_id=f"L-{own}", campaign=secret)
        deal = f"D-{own}"
        yield event(
            f"deal-{deal}", "deal.created", deal_id=deal, name=secret, pipeline_id="P-1",
            stage_id="lead", owner_id=f"U-{own}", account_id=f"A-{own}", region=secret,
            amount="10.00", attributes={"note": secret},
        )  # fmt: skip
        yield event(f"move-{deal}", "deal.stage_changed", deal_id=deal, stage_id="offer",
                     actor_id=secret)  # fmt: skip
        yield event(f"call-{deal}", "activity.logged", activity_id=f"C-{own}", deal_id=deal,
                     kind="call", actor_id=secret)  # fmt: skip
        for deal, end in ((f"W-{own}", "won"), (f"X-{own}", "lost")):
            yield event(
                f"deal-{deal}", "deal.created", deal_id=deal, pipeline_id="P-1", stage_id="lead",
                region=secret, amount="10.00",
            )  # fmt: skip
            why = {"reason_code": secret} if end == "lost" else {}
            yield event(f"{end}-of-{deal}", f"deal.{end}", deal_id=deal, **why)


def event(id_: str, type_: str, **data: Any) -> dict[str, Any]:
    hour = len(id_) % 10
    return {
        "specversion": "1.0", "id": f"E-{id_}", "source": "/crm", "type": type_,
        "time": f"2026-03-02T0{hour}:00:00Z", "data": data,
    }  # fmt: skip


@dataclass
class Both:
    """`ids` also knows what the services made: imports, rebuilds, drill tokens, alerts of alpha."""

    app: Any
    transport: httpx.ASGITransport
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(IDS))

    async def call(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}", **options.pop("headers", {})}
        async with httpx.AsyncClient(transport=self.transport, base_url="http://all") as client:
            return await client.request(method, path, headers=headers, **options)

    async def told(self, tenant: str) -> None:
        """Make a tenant, its pipelines, its story, an import and a rebuild."""
        answer = await self.call("operator", "POST", "/v1/tenants", json={"id": tenant})
        assert answer.status_code == 201, answer.text
        self.keys[tenant] = answer.json()["api_key"]
        body = {"name": secret_of(tenant), "stages": STAGES}
        for pipeline in ("P-1", f"P-{tenant}"):
            path = f"/v1/pipelines/{pipeline}"
            assert (await self.call(tenant, "PUT", path, json=body)).status_code == 201
        answer = await self.call(tenant, "POST", "/v1/events", json=list(told_by(tenant)))
        assert answer.status_code == 202, answer.text
        assert answer.json()["rejected"] == 0, answer.text
        await self._made(tenant)
        await self._collided(tenant)
        await self._connected(tenant)
        await self._mapped(tenant)
        await self._caught_up(tenant)
        await self._alerted(tenant)

    async def _alerted(self, tenant: str) -> None:
        """Rules that every deal breaks at once, and their alerts."""
        clock = {"start": "created_at", "limit": "PT0S"}
        rule = {"name": secret_of(tenant), "scope": "true", "clock": clock}
        for id_ in ("R-1", f"R-{tenant}"):
            answer = await self.call(tenant, "PUT", f"/v1/rules/{id_}", json=rule)
            assert answer.status_code == 201, answer.text
        async with asyncio.timeout(30):
            while not (found := (await self.call(tenant, "GET", "/v1/alerts")).json()["items"]):
                await asyncio.sleep(0.05)
        if tenant == TENANTS[0]:
            self.ids["alert_id"] = (found[0]["id"],)

    async def _made(self, tenant: str) -> None:
        made = await self.call(tenant, "POST", "/v1/imports", content=b"{}\n",
                               headers={"Content-Type": "application/x-ndjson"})  # fmt: skip
        rebuilt = await self.call(tenant, "POST", "/v1/projection/rebuilds", json={})
        if tenant == TENANTS[0]:
            self.ids["import_id"] = (made.json()["import_id"],)
            self.ids["rebuild_id"] = (rebuilt.json()["rebuild_id"],)

    async def _collided(self, tenant: str) -> None:
        """A dead letter: another body under an id that shows whose it is."""
        for note in ("first", "second"):
            told = event(secret_of(tenant), "note.kept", note=note)
            answer = await self.call(tenant, "POST", "/v1/events", json=told)
            assert answer.status_code == 202, answer.text
        (letter,) = (await self.call(tenant, "GET", "/v1/dead-letters")).json()["items"]
        if tenant == TENANTS[0]:
            self.ids["dead_letter_id"] = (letter["id"],)

    async def _connected(self, tenant: str) -> None:
        """A connection, and a delivery that tells of a record without saying what changed. It is
        recorded, but for its texts."""
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        connection = {
            "kind": "salesforce_cdc", "secrets": [KEY], "id_prefix": secret_of(tenant),
            "record_until": until,
        }  # fmt: skip
        path = f"/v1/connections/C-{tenant}"
        assert (await self.call(tenant, "PUT", path, json=connection)).status_code == 201
        body = gap_of(secret_of(tenant))
        headers = signed(body) | {"user-agent": secret_of(tenant)}
        async with httpx.AsyncClient(transport=self.transport, base_url="http://all") as crm:
            answer = await crm.post(f"/v1/webhooks/C-{tenant}", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        async with asyncio.timeout(30):
            while not (await self.call(tenant, "GET", f"{path}/deliveries")).json()["items"]:
                await asyncio.sleep(0.02)

    async def _mapped(self, tenant: str) -> None:
        won = {"type": "deal.won", "data": {"deal_id": "deal"}}
        mapping = {"kind": "csv", "source": secret_of(tenant), "events": [won]}
        for id_ in ("M-1", f"M-{tenant}"):
            answer = await self.call(tenant, "PUT", f"/v1/mappings/{id_}", json=mapping)
            assert answer.status_code == 201, answer.text

    async def _caught_up(self, tenant: str) -> None:
        async with asyncio.timeout(30):
            while not (await self.call(tenant, "GET", "/v1/projection")).json()["caught_up"]:
                await asyncio.sleep(0.02)
        answer = await self.call(tenant, "GET", "/v1/funnel/conversion?pipeline_id=P-1")
        if tenant == TENANTS[0]:
            self.ids["token"] = (answer.json()["total"]["drill"],)

    def reads(self) -> Iterator[tuple[str, bool]]:
        """Every path that answers GET, filled in; whether only alpha has what it names."""
        for path, methods in self.app.openapi()["paths"].items():
            if "get" not in methods or not path.startswith("/v1/") or path in NOT_HERE:
                continue
            named = methods["get"].get("parameters", ())
            (name,) = [p["name"] for p in named if p["in"] == "path"] or [None]
            for id_ in self._fitting(path, name) if name else ("",):
                filled = path.replace(f"{{{name}}}", id_)
                yield filled + _numbers(path), bool(name) and id_ not in COMMON

    def _fitting(self, path: str, name: str) -> tuple[str, ...]:
        """What to fill in; an account is asked for as one, and so on."""
        kind = path.removeprefix("/v1/")[0].upper()
        ids = self.ids.get(name, ())
        return tuple(i for i in ids if i[0] == kind) if name == "entity_id" else ids

    def unknown_parameters(self) -> set[str]:
        """Path parameters of reads that nothing here fills in."""
        return {
            parameter["name"]
            for path, methods in self.app.openapi()["paths"].items()
            if path.startswith("/v1/")
            for parameter in methods.get("get", {}).get("parameters", ())
            if parameter["in"] == "path" and parameter["name"] not in self.ids
        }


@asynccontextmanager
async def both(url: str, folder: Path) -> AsyncIterator[Both]:
    """Every service of one process over a log in memory, with both stories told."""
    clock = SystemClock()
    settings = CommonSettings(data_dir=folder, partitions=2)
    resources = Resources(clock, settings, url, MemoryLog(clock), b"k" * 32, "walls")
    stop = asyncio.Event()
    async with composed(resources) as composition:
        app = composition.app
        async with app.router.lifespan_context(app):
            working = asyncio.create_task(run_workers(composition.workers, stop))
            operator = await ensure_operator_key(url, resources.key_for("api-keys"), clock)
            assert operator is not None
            world = Both(app, httpx.ASGITransport(app, raise_app_exceptions=False))
            world.keys["operator"] = operator
            try:
                for tenant in TENANTS:
                    await world.told(tenant)
                yield world
            finally:
                stop.set()
                await working
