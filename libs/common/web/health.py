"""`/livez`, `/readyz`, `/startupz` and `/metrics` of a process."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse

from libs.common.runtime import Check, Service

CHECK_SECONDS = 2.0


def health_router(services: Sequence[Service]) -> APIRouter:
    """Liveness says that the process turns; readiness that what it needs answers."""
    router = APIRouter(include_in_schema=False)
    checks = {f"{s.name}.{name}": c for s in services for name, c in s.readiness.items()}

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    async def ready() -> Response:
        faults = await _faults(checks)
        body = {"status": "unavailable" if faults else "ok", "checks": faults}
        return JSONResponse(body, 503 if faults else 200)

    router.add_api_route("/readyz", ready)
    router.add_api_route("/startupz", ready)

    @router.get("/metrics")
    async def metrics() -> Response:
        text = await asyncio.to_thread(generate_latest)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


async def _faults(checks: Mapping[str, Check]) -> dict[str, str]:
    results = await asyncio.gather(*(_outcome(check) for check in checks.values()))
    return {name: fault for name, fault in zip(checks, results, strict=True) if fault}


async def _outcome(check: Check) -> str | None:
    try:
        return await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  # a failing check is an answer, not a failure
        return f"{type(error).__name__}: {error}"
