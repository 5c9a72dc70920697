"""Faults of connectors: ours, never answered as the sender's, and told without what was sent."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Incomplete, Refused, Unreadable

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class ConnectorFailed(Exception):
    """A fault of ours: the CRM is asked to send again."""


def ours(live: Live, run: Callable[[], T]) -> T:
    """What `run` gives; what nobody foresaw is `ConnectorFailed`. Its text may hold what the CRM
    sent, so the log gets the place only."""
    try:
        return run()
    except (Incomplete, Refused, Unreadable):
        raise
    except Exception as error:  # noqa: BLE001  a connector may fail in any way
        _log.error(
            "connector_failed",
            connection=live.connection_id,
            kind=live.kind,
            error=type(error).__name__,
            at=_place(error),
        )
        raise ConnectorFailed(live.kind) from None


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
