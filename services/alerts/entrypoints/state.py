"""What alerts' routers find at `request.app.state.alerts`, and ids in paths."""

from typing import Annotated, cast

from fastapi import Path, Request

from libs.common.contracts.values import clean_text
from libs.common.web.query import refused
from services.alerts.app.state import AlertsState


def alerts_of(request: Request) -> AlertsState:
    return cast(AlertsState, request.app.state.alerts)


def rule_id_of(rule_id: Annotated[str, Path(min_length=1, max_length=200)]) -> str:
    """An id of a path that PostgreSQL can be asked for."""
    try:
        return clean_text(rule_id)
    except ValueError as error:
        raise refused("rule_id", str(error)) from None
