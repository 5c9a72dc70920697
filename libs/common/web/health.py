"""`/livez`, `/readyz`, `/startupz` and `/metrics` of a process."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse

from libs.common import metrics
from libs.common.runtime import Check, Service

CHECK_SECONDS = 2.0
FRESH_SECONDS = 0.5
"""For how long a verdict is told again: probes must not become a load."""


def health_router(services: Sequence[Service]) -> APIRouter:
    """Liveness says that the process turns; readiness that what it needs answers."""
    router = APIRouter(include_in_schema=False)
    needs = {f"{s.name}.{name}": c for s in services for name, c in s.readiness.items()}
    wants = {f"{s.name}.{name}": c for s in services for name, c in s.warnings.items()}
    judge = _Judge(needs, wants)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    router.add_api_route("/readyz", judge.answer)
    router.add_api_route("/startupz", judge.answer)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        await judge.look()
        text = await asyncio.to_thread(generate_latest)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


class _Judge:
    """Asks all checks at once; probes that come together share one verdict.

    `needs` decide; what `wants` complain about is told and keeps nothing from being ready.
    """

    def __init__(self, needs: Mapping[str, Check], wants: Mapping[str, Check]) -> None:
        self._needs, self._wants = needs, wants
        self._asking = asyncio.Lock()
        self._verdict: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
        self._asked_at = float("-inf")

    async def answer(self) -> Response:
        checks, warnings = await self.look()
        body = {"status": "unavailable" if checks else "degraded" if warnings else "ok"}
        told = {"checks": checks} | ({"warnings": warnings} if warnings else {})
        return JSONResponse(body | told, 503 if checks else 200)

    async def look(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What is wrong with needs and wants; who shows metrics looks too, to tell the truth."""
        now = asyncio.get_running_loop().time
        async with self._asking:
            if now() - self._asked_at >= FRESH_SECONDS:
                checks, warnings = await asyncio.gather(_faults(self._needs), _faults(self._wants))
                self._verdict, self._asked_at = (checks, warnings), now()
                metrics.READY.set(0 if checks else 1)
        return self._verdict


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
