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

routers = tuple(
    module.router
    for module in (deals, deal_stages, timeline, contexts, pipelines, projection, rebuilds)
)
