"""The funnel's routes."""

from services.funnel.entrypoints import (
    contexts,
    deal_stages,
    deals,
    pipelines,
    projection,
    rebuilds,
    timeline,
)

# The parts of a deal before deals: an id may hold slashes, and the first path that fits is taken.
routers = tuple(
    module.router
    for module in (deal_stages, timeline, deals, contexts, pipelines, projection, rebuilds)
)
