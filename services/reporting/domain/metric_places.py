"""Which rows of a metric are listed in every period, with zeros if need be. Pure."""

from collections.abc import Collection, Sequence

from libs.common.measures.counted import Measured
from libs.common.measures.metrics import PLACES
from services.reporting.domain.facts import Stage
from services.reporting.domain.grid import Key

Side = tuple[Key, Key]
"""A place, empty for metrics that have none, and the values of the dimensions."""


def sides(
    asked: Measured, stages: Sequence[Stage], counted: Collection[Side], *, by_period: bool
) -> set[Side]:
    """Those of what was counted; without dimensions, the places that an empty period has as well.

    Values of dimensions are known only from what was counted, so with them nothing is added.
    """
    added = () if asked.group_by else _places(asked, stages, counted, by_period=by_period)
    return {*counted, *((place, ()) for place in added)}


def _places(
    asked: Measured, stages: Sequence[Stage], counted: Collection[Side], *, by_period: bool
) -> Sequence[Key]:
    if asked.metric not in PLACES:
        return [()]
    if not by_period:
        return ()
    if PLACES[asked.metric] == "stage_id":
        return [(stage.stage_id,) for stage in _stages(asked, stages)]
    return () if counted else [(None,)]


def _stages(asked: Measured, stages: Sequence[Stage]) -> Sequence[Stage]:
    """The published stages, or those asked for; of a pipeline that nobody defined, the discovered.

    Dwell is of open stages only. A stage that was archived is listed where something is found.
    """
    if asked.places:
        chosen = [stage for stage in stages if stage.stage_id in asked.places]
    else:
        chosen = [stage for stage in stages if stage.published] or list(stages)
    return [s for s in chosen if asked.metric != "dwell" or s.stage_class == "open"]
