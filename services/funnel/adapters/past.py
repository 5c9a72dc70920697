"""Deals as of two instants: their groups' events, folded up to there."""

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from services.funnel.adapters.deal_alerts import alerts_of
from services.funnel.adapters.load import load_group_events, load_inputs
from services.funnel.app.deal_question import At
from services.funnel.domain.alerts import ShownAlert, shown
from services.funnel.domain.fold import GroupFold
from services.funnel.domain.model import DealState
from services.funnel.domain.project import fold_at, known_by, refs_of, stream_of
from services.funnel.domain.timeline import Moment, timeline, united


async def fold_of(tx: AsyncConnection, tenant_id: str, deals: Collection[str], at: At) -> GroupFold:
    """The fold of the groups of these deals as of `at`, whose `valid_at` is settled."""
    assert at.valid_at is not None  # noqa: S101  # settled by the caller
    events = await load_group_events(tx, tenant_id, deals)
    inputs = await load_inputs(tx, tenant_id, refs_of(events))
    return fold_at(events, inputs, at.valid_at, at.known_at)


async def states(
    tx: AsyncConnection, tenant_id: str, deals: Collection[str], at: At
) -> Mapping[str, DealState]:
    """Each deal that is there as of `at`."""
    found = (await fold_of(tx, tenant_id, deals, at)).states() if deals else {}
    return {deal_id: state for deal_id, state in found.items() if deal_id in deals}


async def timeline_of(
    tx: AsyncConnection, tenant_id: str, deal_id: str, at: At
) -> tuple[list[Moment], list[ShownAlert]]:
    """What was said of a deal up to `at`, oldest first, and its alerts; empty if it is absent."""
    assert at.valid_at is not None  # noqa: S101  # settled by the caller
    events = await load_group_events(tx, tenant_id, [deal_id])
    inputs = await load_inputs(tx, tenant_id, refs_of(events))
    known = known_by(stream_of(events, inputs), at.known_at)
    fold = GroupFold(known, inputs.pipelines.as_known(at.known_at), inputs.currency)
    moments = timeline(deal_id, known, at.valid_at, fold)
    raised = await alerts_of(tx, tenant_id, united(deal_id, fold))
    alerts = (shown(alert, at.valid_at, at.known_at) for alert in raised)
    return moments, [alert for alert in alerts if alert is not None]
