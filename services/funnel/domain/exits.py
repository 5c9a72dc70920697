"""How a visit ended, in today's words: whether leaving a stage was an advance or a step back."""

from collections.abc import Mapping
from typing import Literal

from services.funnel.domain.model import Visit

ShownExit = Literal["advance", "back", "won", "lost", "moved", "merged", "deleted"]
StageOrder = Mapping[tuple[str, str], int]
"""Place of each `(pipeline, stage)` in its pipeline: published stages, archived, discovered."""


def shown_exit(visit: Visit, order: StageOrder) -> ShownExit | None:
    """Rows keep `left` and where to; a reordered pipeline so rewrites no row."""
    if visit.exit != "left":
        return visit.exit
    if visit.next_stage_id is None:
        return "back"  # reopened where no open stage is known
    here = order.get((visit.pipeline_id, visit.stage_id), -1)
    there = order.get((visit.pipeline_id, visit.next_stage_id), -1)
    return "advance" if there > here else "back"
