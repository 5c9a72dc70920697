"""Fold input for the reading side: the events of a deal's group, and what they fold with."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from services.funnel.adapters.events import deal_events, describing_events
from services.funnel.adapters.groups import groups_of
from services.funnel.adapters.tenants import catalogue_of
from services.funnel.app.model import Catalogue
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent, Ref


async def load_group_events(
    tx: AsyncConnection, tenant_id: str, deal_ids: Collection[str]
) -> list[FoldEvent]:
    """All events of the groups that these deals belong to."""
    conn = await driver(tx)
    keys = {(tenant_id, deal_id) for deal_id in deal_ids}
    members = keys | (await groups_of(conn, keys)).keys()
    found = await deal_events(conn, members)
    return [kept.event for of_deal in found.values() for kept in of_deal]


async def load_inputs(tx: AsyncConnection, tenant_id: str, refs: Collection[Ref]) -> Inputs:
    """The tenant's side of a fold, with the context events of `refs`."""
    conn = await driver(tx)
    currency, catalogue = await catalogue_of(conn, tenant_id)
    found = await describing_events(conn, [(tenant_id, *ref) for ref in refs])
    context = {(kind, id_): [k.event for k in kept] for (_, kind, id_), kept in found.items()}
    return Inputs(currency, catalogue.pipelines, context)


async def load_catalogue(tx: AsyncConnection, tenant_id: str) -> Catalogue:
    """The tenant's pipelines and what their stages are called today."""
    _, catalogue = await catalogue_of(await driver(tx), tenant_id)
    return catalogue
