"""Looks at every process all the time, so that requests go where they are answered."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.standalone.gateway.fleet import Fleet, Process

API_PAUSE, WORKER_PAUSE = 1.0, 5.0
"""Seconds between two looks; for APIs less than they drain, since requests follow the verdict."""
ANSWER_SECONDS = 3.0


@asynccontextmanager
async def watching(fleet: Fleet) -> AsyncIterator[None]:
    """Inside, each process is asked in turn with itself: one that hangs holds up no other."""
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
        tasks = [asyncio.create_task(_watch(http, process)) for process in fleet.processes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(http: httpx.AsyncClient, process: Process) -> None:
    while True:
        await look(http, process)
        await asyncio.sleep(API_PAUSE if process.is_api else WORKER_PAUSE)


async def look(http: httpx.AsyncClient, process: Process) -> None:
    """Ask one process whether it is ready, and note its answer."""
    try:
        answer = await http.get(f"{process.url}/readyz")
        told = _object(answer)
    except httpx.TimeoutException:
        process.is_not({"process": f"no answer within {ANSWER_SECONDS:g} s"})
    except httpx.TransportError as error:
        process.is_not({"process": f"does not answer: {error}"})
    else:
        if answer.status_code == 200:
            process.is_well(_texts(told.get("warnings")))
        else:
            reasons = _texts(told.get("checks"))
            process.is_not(reasons or {"process": f"answered {answer.status_code}"})


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _texts(value: Any) -> Mapping[str, str]:
    return {str(name): str(text) for name, text in value.items()} if value else {}
