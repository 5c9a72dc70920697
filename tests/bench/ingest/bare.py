"""The bare route: FastAPI decodes the same typed envelope and answers 202; nothing is kept.

It runs under the server settings of Headway's own processes. `python -m tests.bench.ingest.bare`
prints its port.
"""

import asyncio
import signal
import sys
from typing import Annotated, Literal

import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, Field

from libs.common.contracts import events
from libs.common.contracts.values import Id, Instant
from libs.common.web.serve import serve


class _Envelope(BaseModel):
    """CloudEvents 1.0 in structured mode."""

    specversion: Literal["1.0"] = "1.0"
    id: Id
    source: Id
    time: Instant
    subject: Id | None = None
    sequence: Id | None = None
    correlationid: Id | None = None
    traceparent: Id | None = None


class _Created(_Envelope):
    type: Literal["deal.created"]
    data: events.DealCreated


class _StageChanged(_Envelope):
    type: Literal["deal.stage_changed"]
    data: events.DealStageChanged


class _Updated(_Envelope):
    type: Literal["deal.updated"]
    data: events.DealUpdated


class _Won(_Envelope):
    type: Literal["deal.won"]
    data: events.DealWon


class _Lost(_Envelope):
    type: Literal["deal.lost"]
    data: events.DealLost


class _Logged(_Envelope):
    type: Literal["activity.logged"]
    data: events.ActivityLogged


Event = Annotated[
    _Created | _StageChanged | _Updated | _Won | _Lost | _Logged, Field(discriminator="type")
]
app = FastAPI()


@app.post("/single", status_code=202)
async def single(event: Event) -> dict[str, int]:
    return {"accepted": 1}


@app.post("/batch", status_code=202)
async def batch(events: list[Event]) -> dict[str, int]:
    return {"accepted": len(events)}


async def _main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(app, "127.0.0.1", 0, stop, ready=_tell)


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main())
