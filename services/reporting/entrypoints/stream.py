"""`GET /v1/stream`: what changes, as server-sent events."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from libs.common.eventlog.port import LogError
from libs.common.quotas import Policy, Standing
from libs.common.web.auth import Authenticator, Principal, principal_of
from libs.common.web.errors import AppError, ErrorItem, Forbidden, Invalid, Unavailable
from libs.common.web.query import refused
from libs.common.web.quota_headers import OverLimit
from services.reporting.app.state import ReportingState
from services.reporting.app.stream_connection import Allowed
from services.reporting.app.stream_limits import ProcessIsFull, TenantIsFull
from services.reporting.app.stream_positions import BadPosition
from services.reporting.app.streams import Asked
from services.reporting.domain.stream import StreamTopic, chosen
from services.reporting.entrypoints.stream_answer import EventStream

VERIFIED = timedelta(seconds=20)
"""How old a look at the credential may be: with the time between looks, below 30 s."""
ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until the client or the server ends the stream.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
router = APIRouter()


def asked_topics(
    topics: Annotated[str, Query(description="`deals`, `alerts` or both", max_length=200)],
    principal: Annotated[Principal, Depends(principal_of)],
) -> tuple[StreamTopic, ...]:
    """What is asked for, if the credential covers all of it."""
    try:
        wanted = chosen(topics)
    except ValueError as error:
        raise refused("topics", str(error)) from None
    for topic in wanted:
        if not principal.may(topic.scope):
            raise Forbidden(f"this key lacks the scope {topic.scope}", code="scope_missing")
    return wanted


@router.get("/v1/stream", operation_id="stream", response_class=StreamingResponse, responses=ANSWER)
async def get_stream(
    request: Request,
    principal: Annotated[Principal, Depends(principal_of)],
    topics: Annotated[tuple[StreamTopic, ...], Depends(asked_topics)],
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="the last `id` had: what was missed comes first"),
    ] = None,
) -> EventStream:
    """Changes of deals and alerts as they are published, as server-sent events.

    Needs `deals:read` for deals and `alerts:read` for alerts. An event's data is a CloudEvent; the
    event `resync` says that events are missing and the state is to be read anew.
    """
    state: ReportingState = request.app.state.reporting
    stack = AsyncExitStack()
    asked = Asked(principal.tenant_id, topics, last_event_id, _allowed(request, principal, topics))
    async with _refusals(state):
        stream = await stack.enter_async_context(state.streams.opened(asked))
    return EventStream(stream, stack)


@asynccontextmanager
async def _refusals(state: ReportingState) -> AsyncIterator[None]:
    """Why a stream cannot begin, as problems."""
    try:
        yield
    except BadPosition:
        detail = "is no id of a stream of these topics; connect without it and read the state anew"
        item = ErrorItem(detail, "invalid_position", parameter="Last-Event-ID")
        raise Invalid(f"Last-Event-ID {detail}", code=item.code, errors=[item]) from None
    except TenantIsFull:
        most = state.streams.limits.per_tenant
        raise OverLimit(
            f"{most} streams of this tenant are open; close one",
            Standing(Policy("streams", most, window=None), allowed=False, remaining=0),
            code="too_many_streams", retry_after=10,
        ) from None  # fmt: skip
    except ProcessIsFull:
        detail = "this process has no stream to spare; try again"
        raise Unavailable(detail, retry_after=10, code="too_many_streams") from None
    except LogError as error:
        detail = "the log does not answer; try again"
        raise Unavailable(detail, retry_after=5, code="log_unavailable") from error


def _allowed(request: Request, principal: Principal, topics: tuple[StreamTopic, ...]) -> Allowed:
    """Asks again whether the credential is good for the same tenant and topics."""
    authenticator: Authenticator = request.app.state.authenticator
    authorization = request.headers.get("authorization")

    async def allowed() -> bool:
        try:
            now = await authenticator.authenticate(authorization, fresh=VERIFIED)
        except AppError:
            return False
        same = now.tenant_id == principal.tenant_id
        return same and all(now.may(topic.scope) for topic in topics)

    return allowed
