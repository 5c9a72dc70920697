"""`POST /v1/webhooks/{connection_id}`: what CRMs send natively, proven by their own schemes."""

import structlog
from fastapi import APIRouter, Request, Response

from libs.common.web.body import read_body
from libs.common.web.errors import BadRequest, NotFound, Unavailable
from libs.common.web.strict import AnyParameters
from services.ingest.domain.crm.model import Delivery
from services.ingest.domain.crm.pressure import OVER_QUOTA
from services.ingest.domain.model import Receipt
from services.ingest.entrypoints.connection_answers import existing_id
from services.ingest.entrypoints.state import IngestState, ingest_of
from services.ingest.entrypoints.webhook_answers import looking_up, received, refusals

router = APIRouter(tags=["webhooks"], route_class=AnyParameters)
_ANY_BODY = {"requestBody": {"required": True, "content": {"*/*": {"schema": {}}}}}
_log = structlog.get_logger(__name__)


@router.post("/v1/webhooks/{connection_id}", status_code=202, openapi_extra=_ANY_BODY)
async def take_webhook(request: Request, connection_id: str) -> Response:
    """A delivery, as its CRM sends it. A 202 (of Salesforce Outbound Messages a 200 with its
    `Ack`) says that each event of it is durable, and each part that makes none a dead letter."""
    ingest = ingest_of(request)
    body = await _body(request, ingest)
    async with looking_up():
        live = await ingest.lookup.live(existing_id(connection_id))
    if live is None:
        raise NotFound("no such connection")
    request.state.tenant_id = live.tenant_id
    now, query = ingest.clock.now(), dict(request.query_params)
    delivery = Delivery(body, dict(request.headers), query, request.method, received_at=now)
    insists = OVER_QUOTA[live.kind] == "taken"
    receipt = Receipt(live.tenant_id, now, insists=insists, answer_by=ingest.answer_by)
    async with refusals(live.kind):
        told = await ingest.receiver.receive(live, delivery, receipt, ingest.turns)
        return received(live.kind, told)


async def _body(request: Request, ingest: IngestState) -> bytes:
    """At most 1 MiB. A slow line is no fault of what it carries, so it is not answered as one."""
    try:
        return await read_body(request, ingest.settings.max_batch_bytes)
    except BadRequest as error:
        if error.code != "body_timeout":
            raise
        raise Unavailable(error.detail, code=error.code, retry_after=1) from None
