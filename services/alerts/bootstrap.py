"""Alerts as far as it is built: its paths say that they are not."""

from libs.common.runtime import Resources, Service
from services.alerts.entrypoints.unbuilt import router


def build(_: Resources) -> Service:
    """No state, no workers."""
    return Service("alerts", None, (router,))
