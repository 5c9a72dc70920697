"""Answers for what alerts does not build yet."""

from libs.common.web.unbuilt import unbuilt_router
from services.alerts.domain.unbuilt import UNBUILT

router = unbuilt_router(UNBUILT)
