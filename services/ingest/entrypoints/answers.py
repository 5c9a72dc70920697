"""Answers of acceptance: verdicts as JSON, refusals as problems."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Response

from libs.common.eventlog.port import LogError
from libs.common.web.errors import AppError, ErrorItem, Invalid, TooLarge, Unavailable
from libs.common.web.quota_headers import OverLimit
from services.ingest.app.grouped import Overloaded
from services.ingest.app.ports import IndexUnavailable, SpoolFull
from services.ingest.app.quotas import OverQuota
from services.ingest.domain.model import REFUSED_BY_LOG, TOO_LARGE, Decision, Verdict

QUOTA_EXCEEDED = "quota_exceeded"
RETRY_AFTER = 2
MAX_ITEMS = 100
"""Violations told in one problem; the first ones say enough."""


def accepted(decision: Decision, *, batch: bool) -> Response:
    """202 with each verdict, or the 422 of a delivery without a single good event."""
    by = Counter(verdict.status for verdict in decision.verdicts)
    if decision.verdicts and by["rejected"] == len(decision.verdicts):
        raise _refused(decision, batch=batch)
    body = {
        "accepted": by["accepted"],
        "duplicates": by["duplicate"],
        "rejected": by["rejected"],
        "results": [_shown(verdict) for verdict in decision.verdicts],
    }
    return Response(orjson.dumps(body), 202, media_type="application/json")


@asynccontextmanager
async def unavailable() -> AsyncIterator[None]:
    """503 where nothing was promised, or 429; a repetition of the request is harmless."""
    try:
        yield
    except OverQuota as error:
        raise OverLimit(str(error), error.standing, code=QUOTA_EXCEEDED) from None
    except (LogError, SpoolFull) as error:
        detail = "the event log did not acknowledge in time, and the spool is full; send again"
        raise Unavailable(detail, code="log_unavailable", retry_after=RETRY_AFTER) from error
    except Overloaded as error:
        detail = "too many events are waiting; send again"
        raise Unavailable(detail, code="overloaded", retry_after=RETRY_AFTER) from error
    except (IndexUnavailable, TimeoutError) as error:
        detail = "the database does not answer; send again"
        raise Unavailable(detail, code="database_unavailable", retry_after=RETRY_AFTER) from error


def _shown(verdict: Verdict) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": verdict.event_id, "status": verdict.status}
    if verdict.code is not None:
        shown["code"] = verdict.code
    if verdict.detail is not None:
        shown["detail"] = verdict.detail
    if verdict.violations:
        shown["errors"] = [
            {"pointer": v.pointer, "code": v.code, "detail": v.detail}
            for v in verdict.violations[:MAX_ITEMS]
        ]
    return shown


def _refused(decision: Decision, *, batch: bool) -> AppError:
    first = decision.verdicts[0]
    if first.code in (TOO_LARGE, REFUSED_BY_LOG) and not batch:
        return TooLarge(first.detail or "too large")
    many = len(decision.verdicts) > 1
    items = list(_items(decision, batch=batch))[:MAX_ITEMS]
    detail = "every event of the batch is rejected" if many else first.detail
    return Invalid(detail or "rejected", code="all_rejected" if many else first.code, errors=items)


def _items(decision: Decision, *, batch: bool) -> Iterator[ErrorItem]:
    for place, verdict in enumerate(decision.verdicts):
        prefix = f"/{place}" if batch else ""
        for violation in verdict.violations:
            yield ErrorItem(violation.detail, violation.code, pointer=prefix + violation.pointer)
