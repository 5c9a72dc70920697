"""The funnel's routes."""

from services.funnel.entrypoints import pipelines, projection, rebuilds

routers = (pipelines.router, projection.router, rebuilds.router)
