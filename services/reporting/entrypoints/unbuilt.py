"""Answers for what reporting does not build yet."""

from libs.common.web.unbuilt import unbuilt_router
from services.reporting.domain.unbuilt import UNBUILT

router = unbuilt_router(UNBUILT)
