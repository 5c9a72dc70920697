"""What CRMs are answered. A 4xx is for the sender's fault alone: several give up after one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import orjson
from fastapi import Response

from libs.common.web.errors import AppError, BadRequest, TooMany, Unavailable
from services.ingest.adapters.sealing import CannotOpen
from services.ingest.app.connector_faults import ConnectorFailed
from services.ingest.app.receiving import Received
from services.ingest.domain.crm import salesforce_outbound
from services.ingest.domain.crm.model import Incomplete, Kind, Refused, Unreadable
from services.ingest.domain.crm.pressure import OVER_QUOTA
from services.ingest.entrypoints.answers import unavailable

_BASIC = ("pipedrive", "generic")


class NotProven(AppError):
    status, code, title = 401, "signature_invalid", "Not proven"

    def __init__(self, refused: Refused, kind: Kind) -> None:
        scheme = "Basic" if kind in _BASIC else "Signature"
        headers = {"WWW-Authenticate": f'{scheme} realm="headway"'}
        super().__init__(refused.detail, code=refused.code, headers=headers)


def received(kind: Kind, told: Received) -> Response:
    """All of it is durable."""
    if kind == "salesforce_outbound":
        return Response(salesforce_outbound.reply(True), 200, media_type="text/xml")
    return Response(orjson.dumps(asdict(told)), 202, media_type="application/json")


def connector_failed() -> AppError:
    detail = "this delivery cannot be read by a fault of ours; it has been logged, send it again"
    return Unavailable(detail, code="connector_failed", retry_after=60)


def secrets_of_no_use() -> AppError:
    detail = "the connection's secrets were stored under another key; they have to be put again"
    return Unavailable(detail, code="secrets_unreadable", retry_after=60)


def incomplete(error: Incomplete) -> AppError:
    """The same of every delivery until the connection is put right, which a CRM should outwait."""
    return Unavailable(str(error), code=error.code, retry_after=60)


@asynccontextmanager
async def refusals(kind: Kind) -> AsyncIterator[None]:
    """Refusals as the CRM of this kind has to be told them."""
    try:
        async with unavailable():
            yield
    except Refused as error:
        raise NotProven(error, kind) from None
    except Incomplete as error:
        raise incomplete(error) from None
    except Unreadable as error:
        raise BadRequest(str(error), code="unreadable") from None
    except ConnectorFailed:
        raise connector_failed() from None
    except TooMany as error:
        if OVER_QUOTA[kind] == "429":
            raise
        later = int(error.headers["Retry-After"])
        raise Unavailable(error.detail, code=error.code, retry_after=later) from None


@asynccontextmanager
async def looking_up() -> AsyncIterator[None]:
    """While nobody can tell whether there is such a connection, it is not denied."""
    try:
        async with unavailable():
            yield
    except CannotOpen:
        raise secrets_of_no_use() from None
