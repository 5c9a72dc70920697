"""What the funnel's routers find at `request.app.state.funnel`."""

from typing import cast

from fastapi import Request

from services.funnel.app.state import FunnelState


def funnel_of(request: Request) -> FunnelState:
    return cast(FunnelState, request.app.state.funnel)
