"""A real tenant's records as its integrator reads them, once nothing more can follow."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import orjson

from libs.common.contracts.envelope import from_headers
from libs.common.contracts.topics import ALERT_STATE, CRM_EVENTS, DEALS
from tests.integration.alerts.rig import PATIENCE, Site

_FOLDED = """SELECT partition, next_offset FROM funnel.positions
    WHERE reader_group = 'funnel' AND topic = $1"""
CONSUMED = """SELECT partition, next_offset FROM alerts.positions
    WHERE reader_group = 'alerts' AND topic = $1"""
UNTOLD = """SELECT EXISTS (SELECT FROM funnel_api.waiting_v1 WHERE tenant_id = $1)
    OR EXISTS (SELECT FROM funnel.outbox WHERE tenant_id = $1 AND published_at IS NULL)"""
WORK = """SELECT EXISTS (SELECT FROM alerts.subjects
        WHERE tenant_id = $1 AND pending_at IS NOT NULL AND NOT brought)
    OR EXISTS (SELECT FROM alerts.timers WHERE tenant_id = $1
        AND due_at <= (SELECT min(watermark) FROM alerts.watermarks))
    OR EXISTS (SELECT FROM alerts.sweeps WHERE tenant_id = $1)
    OR EXISTS (SELECT FROM alerts.outbox WHERE tenant_id = $1 AND published_at IS NULL)"""


class Lived(NamedTuple):
    """A record: what it is, of which instant, of which clock, and the alert as it then is."""

    type: str
    at: datetime
    start_event: str
    started_at: datetime
    resolution: str | None
    resolved_at: datetime | None


def fired(event: str, at: datetime) -> Lived:
    return Lived("fired", at, event, at, None, None)


def resolved(event: str, began: datetime, at: datetime, how: str = "cleared") -> Lived:
    return Lived("resolved", at, event, began, how, at)


def corrected(
    event: str, began: datetime, how: str | None = None, ended: datetime | None = None
) -> Lived:
    return Lived("corrected", began, event, began, how, ended)


def retracted(event: str, began: datetime) -> Lived:
    return corrected(event, began, "retracted", began)


async def quiet(site: Site) -> None:
    """Wait until all that was said is folded, told, consumed, judged and published.

    What an import holds, or the watermark, does not count: that is the test's to release.
    """
    async with asyncio.timeout(PATIENCE):
        await _reached(site, _FOLDED, CRM_EVENTS)
        while await site.hand.fetchval(UNTOLD, site.tenant):
            await asyncio.sleep(0.02)
        await _reached(site, CONSUMED, DEALS)
        while await site.hand.fetchval(WORK, site.tenant):
            await asyncio.sleep(0.02)


async def _reached(site: Site, positions: str, topic: str) -> None:
    """A reader has come to where the topic ends now; nothing has to be read of an empty part."""
    ends = {n: len(of) for n, of in enumerate(site.log.topic(topic).records) if of}
    while not _passed(await site.hand.fetch(positions, topic), ends):
        await asyncio.sleep(0.02)


def _passed(positions: Iterable[asyncpg.Record], ends: Mapping[int, int]) -> bool:
    read = {row[0]: row[1] for row in positions}
    return all(read.get(number, 0) >= end for number, end in ends.items())


async def lives(site: Site, deal: str) -> list[Lived]:
    """The records of a deal, once nothing more can follow; the last of each alert is the latest
    state, on the topic of states and over REST as well."""
    await quiet(site)
    found, latest = [], {}
    for record in await site.raw():
        alert = orjson.loads(record.value or b"")["alert"]
        if alert["subject"]["id"] == deal:
            envelope = from_headers(record.headers, record.value)
            found.append(_lived(envelope.type, envelope.occurred_at, alert))
            latest[alert["id"]] = alert
    assert latest == {alert["id"]: alert for alert in await site.alerts(subject_id=deal)}
    assert latest == await _states(site, deal)
    return found


async def _states(site: Site, deal: str) -> Mapping[str, object]:
    read = [orjson.loads(record.value or b"")["alert"] for record in await site.raw(ALERT_STATE)]
    return {alert["id"]: alert for alert in read if alert["subject"]["id"] == deal}


def _lived(type_: str, at: datetime, alert: dict[str, Any]) -> Lived:
    ended = alert["resolved_at"]
    return Lived(
        type_.removeprefix("alert."), at, alert["evidence"]["clock"]["start_event_id"],
        datetime.fromisoformat(alert["started_at"]), alert["resolution"],
        None if ended is None else datetime.fromisoformat(ended),
    )  # fmt: skip
