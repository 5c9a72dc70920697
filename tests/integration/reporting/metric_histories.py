"""Deals told in short lines, for the tests of the metrics."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import asyncpg

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast, Pipeline, Step, Version, at, version

B2B = Pipeline()
Told = tuple[float, str | None] | tuple[float, str | None, Mapping[str, Any]]
"""The hour since 2017-01-01, the stage entered then if one was, and the facts that changed."""


def days(number: float) -> float:
    return 24 * number


def past(deal_id: str, *told: Told) -> DealPast:
    """A deal known from the start."""
    return DealPast(deal_id, (held(0, *told),))


def held(known: float, *told: Told) -> Version:
    """What is held to be true of a deal from an hour on."""
    return version(at(known), [_step(*line) for line in told], B2B)


def _step(hour: float, stage: str | None, facts: Mapping[str, Any] | None = None) -> Step:
    pipeline = (facts or {}).get("pipeline_id", "b2b")
    return Step(at(hour), stage, pipeline, tuple((facts or {}).items()))


def closed(deal_id: str, day: float, how: str = "won", **facts: Any) -> DealPast:
    """Created at the beginning, with these facts from then on, and closed on a day."""
    return past(deal_id, (0, "reach", facts), (days(day), how))


def worth(amount: str | None, currency: str | None = "EUR") -> dict[str, Any]:
    return {"amount": None if amount is None else Decimal(amount), "currency": currency}


async def metric(reporting: Reporting, tenant: str, name: str, **params: Any) -> dict[str, Any]:
    """The answer of a metric by its name."""
    path = "/v1/funnel/flow" if name == "flow" else f"/v1/metrics/{name}"
    return await reporting.get(tenant, path, **params)


async def listed(reporting: Reporting, tenant: str, token: str, **params: Any) -> list[str]:
    """The ids behind a number, page by page."""
    path, asked = f"/v1/drill/{token}", {"limit": 2, **params}
    page = await reporting.get(tenant, path, **asked)
    ids = [item["deal_id"] for item in page["items"]]
    while page["has_more"]:
        page = await reporting.get(tenant, path, cursor=page["next_cursor"], **asked)
        ids += [item["deal_id"] for item in page["items"]]
    return ids


async def event(
    connection: asyncpg.Connection, tenant: str, deal_id: str, hour: float, known: float
) -> None:
    """An event of a deal, as the funnel keeps it."""
    await connection.execute(
        """INSERT INTO funnel.events (tenant_id, source, event_id, subject_kind, subject_id, type,
            occurred_at, recorded_at, origin, time_quality, body_hash, data, partition, "offset")
        VALUES ($1, 'test', gen_random_uuid()::text, 'deal', $2, 'activity.logged', $3, $4, 'live',
            'given', '', '{}', 0, 0)""",
        tenant, deal_id, at(hour), at(known),
    )  # fmt: skip


def only(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Of each row, its key's values in order and the named figures."""
    return [(*row["key"].values(), *(row[name] for name in names)) for row in rows]
