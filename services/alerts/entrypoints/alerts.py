"""`/v1/alerts`: lists, single ones, and taking one on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.common.db.database import driver
from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, require
from libs.common.web.commands_once import command_once, documented_once
from libs.common.web.errors import Conflict, NotFound
from libs.common.web.pages import Limit, Turn
from libs.common.web.params import Many, One, choice, parsed, text
from libs.common.web.query import instant
from services.alerts.adapters import alert_reads, alert_rows, clocks
from services.alerts.adapters.alert_reads import AlertFilters
from services.alerts.adapters.store import judging
from services.alerts.app.acknowledging import Acknowledge
from services.alerts.app.records import record_rows, shown
from services.alerts.domain.alert import Alert, acknowledged
from services.alerts.domain.reconcile import Moment
from services.alerts.entrypoints.models import Alerts, ShownAlert
from services.alerts.entrypoints.state import alerts_of

router = APIRouter(tags=["alerts"])
Reader = Annotated[Principal, Depends(require("alerts:read"))]
Writer = Annotated[Principal, Depends(require("alerts:write"))]
_STATES = ("pending", "firing", "acknowledged", "snoozed", "resolved")
_SEVERITIES = ("info", "warning", "critical")


def filters(
    state: Many = None,
    rule_id: Many = None,
    subject_id: Many = None,
    owner_id: Many = None,
    severity: Many = None,
    started_from: One = None,
    started_to: One = None,
) -> AlertFilters:
    """Which alerts are meant; the owner is that of the deal when the violation began."""
    return AlertFilters(
        _words("state", state, _STATES),
        _texts("rule_id", rule_id),
        _texts("subject_id", subject_id),
        _texts("owner_id", owner_id),
        _words("severity", severity, _SEVERITIES),
        parsed("started_from", started_from, instant),
        parsed("started_to", started_to, instant),
    )


def _texts(name: str, values: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(str(text(name, value)) for value in values or ())


def _words(name: str, values: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(choice(name, value, known, None)) for value in values or ())


@router.get("/v1/alerts", response_model=Alerts)
async def list_alerts(
    request: Request,
    principal: Reader,
    asked: Annotated[AlertFilters, Depends(filters)],
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> Response:
    """Alerts that fit the filters, by the instant at which they began, newest first."""
    tenant, turn = principal.tenant_id, Turn.of(request, f"alerts {asked}", limit, cursor)
    before = _opened(turn.after) if turn.after else None
    async with alerts_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        found = await alert_reads.page(await driver(tx), tenant, asked, before, turn.fetch)
    return json_answer(turn.page(found, _place, shown))


def _place(alert: Alert) -> list[str]:
    return [alert.started_at.isoformat(), alert.alert_id]


def _opened(place: Sequence[Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(place[0]), place[1]


@router.get("/v1/alerts/{alert_id}", response_model=ShownAlert)
async def read_alert(request: Request, principal: Reader, alert_id: str) -> Response:
    """One alert with its evidence and corrections."""
    id_, tenant = _id(alert_id), principal.tenant_id
    async with alerts_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        found = await alert_reads.one(await driver(tx), tenant, id_)
    if found is None:
        raise NotFound("no such alert")
    return json_answer(shown(found))


@router.post(
    "/v1/alerts/{alert_id}/ack",
    response_model=ShownAlert,
    openapi_extra=documented_once(Acknowledge),
)
async def acknowledge(request: Request, principal: Writer, alert_id: str) -> Response:
    """Take an alert on for the length of a lease; again by the same key renews it."""
    wanted, once = await command_once(request, Acknowledge, "alerts", principal)
    state, tenant = alerts_of(request), principal
    async with state.database.for_tenant(tenant.tenant_id) as tx:
        if told_before := await once.replay(tx):
            return told_before
        conn, id_ = await driver(tx), _id(alert_id)
        await alert_reads.lock_subject(conn, tenant.tenant_id, id_)
        held = await alert_reads.one(conn, tenant.tenant_id, id_)
        time = await clocks.tenant_time(conn, tenant.tenant_id)
        if held is None or time is None:
            raise NotFound("no such alert")
        _refuse_ended(held)
        lease = wanted.until(time.now)
        told = acknowledged(held, tenant.actor, time.now, lease)
        moment = Moment(time.now, time.now, state.clock.now(), time.sandbox)
        await alert_rows.write(conn, tenant.tenant_id, [told.alert], moment.recorded)
        records = [(told, record_rows(tenant.tenant_id, [told], moment))]
        await judging(tx, time.sandbox).publish(records)
        return await once.keep(tx, json_answer(shown(told.alert)))


def _refuse_ended(alert: Alert) -> None:
    if not alert.is_open:
        raise Conflict(f"this alert was {alert.resolution} already", code="alert_moved_on")


def _id(alert_id: str) -> UUID:
    try:
        return UUID(alert_id)
    except ValueError:
        raise NotFound("no such alert") from None
